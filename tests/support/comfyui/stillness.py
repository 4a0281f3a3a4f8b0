"""What keeps an editor from drawing without need: it takes most of the time of a browser without a graphics card."""

STILL = """document.addEventListener("DOMContentLoaded", () => {  // a dialog that glides is drawn many times
  const style = document.createElement("style");
  style.textContent = "*, *::before, *::after { animation: none !important; transition: none !important; }";
  document.head.append(style);
});"""
CALM = """(() => {  // an editor asks for every frame, whether it changes or not: sixteen a second serve,
  // but while a graph is opened, which settles frame by frame
  const draw = window.requestAnimationFrame.bind(window);
  let [next, now, count] = [new Map(), new Map(), 0];
  const frame = (time) => {
    [now, next] = [next, new Map()];
    for (const act of now.values()) try { act(time); } catch (fault) { reportError(fault); }
  };
  window.requestAnimationFrame = (act) => {
    if (!next.size) setTimeout(() => draw(frame), window.hurried ? 0 : 50);
    next.set(++count, act);
    return count;
  };
  window.cancelAnimationFrame = (id) => { next.delete(id); now.delete(id); };
})();"""
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
