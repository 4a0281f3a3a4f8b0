"""What keeps an editor from drawing without need: it takes most of the time of a browser without a graphics card."""

STILL = """document.addEventListener("DOMContentLoaded", () => {  // a dialog that glides is drawn many times
  const style = document.createElement("style");
  style.textContent = "*, *::before, *::after { animation: none !important; transition: none !important; }";
  document.head.append(style);
});"""
SLEEP = """() => {
  window.awake = window.requestAnimationFrame;
  window.asleep = [];
  window.requestAnimationFrame = (draw) => window.asleep.push(draw);
}"""
WAKE = """() => {
  if (!window.asleep) return;
  window.requestAnimationFrame = window.awake;
  for (const draw of window.asleep.splice(0)) requestAnimationFrame(draw);
}"""
FRAMES = """(count) => new Promise((done) => {  // in a tab that sleeps there are none, so no longer than a second
  const next = (left) => (left ? requestAnimationFrame(() => next(left - 1)) : done());
  setTimeout(done, 1000);
  next(count);
})"""
