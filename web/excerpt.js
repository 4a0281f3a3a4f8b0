// Which events of excerpts concern this page. Pure.

// The one prompt whose excerpts are heard.
export class Run {
  prompt = null; // that is running, as far as is known
  over = null; // that ended last
  latest = null; // what was told last

  start(prompt) {
    this.prompt = prompt;
    this.latest = null;
  }

  // True for an excerpt of the running prompt; those of others, and those that come too late, are dropped. A page that was
  // opened during a run has not seen it start.
  take(told) {
    if (told.prompt_id === this.over || (this.prompt !== null && told.prompt_id !== this.prompt)) return false;
    this.prompt = told.prompt_id;
    this.latest = told;
    return true;
  }

  // True if it was the prompt that is heard.
  end(prompt) {
    if (this.prompt !== null && prompt !== this.prompt) return false;
    this.over = prompt;
    this.prompt = this.latest = null;
    return true;
  }
}
