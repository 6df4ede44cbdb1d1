// Keeps the overview calm while it refreshes itself. Without this file everything still works.
(() => {
  const csrfInputs = /name="csrfmiddlewaretoken" value="[^"]*"/g;
  const news = document.getElementById("news");
  const silence = document.getElementById("silence");
  const headline = () => document.getElementById("headline").textContent;
  let shown = "";
  let said = headline();
  const open = new Set();

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (!detail.target.isConnected) return;
    const next = detail.xhr.responseText.replace(csrfInputs, "");
    if (next === shown) detail.shouldSwap = false;
    shown = next;
    for (const details of document.querySelectorAll("#panel details")) {
      if (details.open) open.add(details.id);
      else open.delete(details.id);
    }
  });

  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    // A new element's animation goes on where the old one was.
    for (const animation of document.getAnimations()) animation.startTime = 0;
    if (headline() !== said) news.textContent = said = headline();
  });

  for (const event of ["htmx:sendError", "htmx:responseError"]) {
    document.addEventListener(event, () => { silence.hidden = false; });
  }
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful) silence.hidden = true;
  });

  if (navigator.clipboard) document.documentElement.classList.add("copies");
  document.addEventListener("click", async ({ target }) => {
    if (!target.dataset.copies) return;
    await navigator.clipboard.writeText(document.getElementById(target.dataset.copies).textContent);
    target.textContent = target.dataset.copied;
  });
})();
