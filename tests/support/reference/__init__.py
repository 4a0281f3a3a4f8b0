"""What the product is compared with: peers, recorded tensors and literal loops."""
