// Keeps pages calm while they refresh themselves. Without this file everything still works.
(() => {
  const csrfInputs = /name="csrfmiddlewaretoken" value="[^"]*"/g;
  const news = document.getElementById("news");
  const silence = document.getElementById("silence");
  const headline = () => document.getElementById("headline")?.textContent;
  let shown = "";
  let said = headline();
  const open = new Set();

  // Nobody looks at a hidden tab; when it is looked at again, it asks at once.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.detail.elt.hasAttribute("data-poll")) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const poll of document.querySelectorAll("[data-poll]")) htmx.trigger(poll, "look");
  });

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (!detail.target.isConnected) return;
    const next = detail.xhr.responseText.replace(csrfInputs, "");
    if (next === shown) detail.shouldSwap = false;
    shown = next;
    for (const details of detail.target.querySelectorAll("details[id]")) {
      if (details.open) open.add(details.id);
      else open.delete(details.id);
    }
  });

  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    // A new element's animation goes on where the old one was.
    for (const animation of document.getAnimations()) animation.startTime = 0;
    if (news && headline() !== said) news.textContent = said = headline();
  });

  if (silence) {
    for (const event of ["htmx:sendError", "htmx:responseError"]) {
      document.addEventListener(event, () => { silence.hidden = false; });
    }
    document.addEventListener("htmx:afterRequest", ({ detail }) => {
      if (detail.successful) silence.hidden = true;
    });
  }
})();
