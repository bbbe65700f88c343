// The slider of two pictures, and what screen readers are told. Runs once; the parts come and go.
(() => {
  const compareOf = (element) => element.closest(".dc-compare");

  function move(figure, part) {
    const handle = figure.querySelector(".dc-handle");
    const at = Math.min(100, Math.max(0, Math.round(part)));
    handle.value = at;
    figure.style.setProperty("--at", at + "%");
    handle.setAttribute("aria-valuetext", handle.dataset.say.replace("#", at));
  }

  function zoom(figure, factor) {
    const stage = figure.querySelector(".dc-stage");
    const before = Number(figure.dataset.zoom || 1);
    // What is in the middle of the view stays there.
    const x = (stage.scrollLeft + stage.clientWidth / 2) / before;
    const y = (stage.scrollTop + stage.clientHeight / 2) / before;
    figure.dataset.zoom = factor;
    figure.style.setProperty("--zoom", factor);
    figure.querySelector(".dc-zoom").setAttribute("aria-valuetext", factor + " x");
    stage.scrollLeft = x * factor - stage.clientWidth / 2;
    stage.scrollTop = y * factor - stage.clientHeight / 2;
    if (factor >= 2) {
      for (const picture of figure.querySelectorAll("img[data-full]")) {
        picture.src = picture.dataset.full;
        picture.removeAttribute("data-full");
      }
    }
  }

  document.addEventListener("input", (event) => {
    const figure = compareOf(event.target);
    if (!figure) return;
    if (event.target.matches(".dc-handle")) move(figure, Number(event.target.value));
    if (event.target.matches(".dc-zoom")) zoom(figure, Number(event.target.value));
  });

  // A finger or the mouse on the pictures moves the handle; zoomed in, it moves the pictures.
  function drag(event) {
    const stage = event.target.closest?.(".dc-stage");
    if (!stage || (event.pointerType === "mouse" && event.buttons !== 1)) return;
    const figure = compareOf(stage);
    if (Number(figure.dataset.zoom || 1) > 1) return;
    const box = stage.getBoundingClientRect();
    move(figure, (100 * (event.clientX - box.left)) / box.width);
  }
  document.addEventListener("pointerdown", drag);
  document.addEventListener("pointermove", (event) => {
    if (event.buttons) drag(event);
  });

  // What is too large is said before it is sent; Gradio would say so only in English.
  function refuse(event) {
    const input = event.target.matches?.("input[type='file']");
    const files = [...((input ? event.target.files : event.dataTransfer?.files) || [])];
    const place = event.target.closest?.(".block");
    if (!files.length || !place) return;
    place.parentElement.querySelector(".dc-large")?.remove();
    const large = files.find((file) => file.size > window.decontext.bytes);
    if (!large) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    if (input) event.target.value = "";
    const notice = document.createElement("div");
    notice.className = "dc-notice dc-large";
    notice.setAttribute("role", "alert");
    const title = document.createElement("strong");
    title.textContent = window.decontext.title;
    notice.append(title, " ", window.decontext.large.replace("#", () => large.name));
    place.after(notice);
  }
  for (const kind of ["change", "drop"]) window.addEventListener(kind, refuse, true);

  const texts = (element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) found.push(walker.currentNode);
    return found.filter((node) => node.nodeValue === "" || node.nodeValue.trim());
  };

  // Gradio draws these itself; this says of them what it leaves out.
  const labels = () => {
    const announcer = document.querySelector("#dc-announce");
    if (announcer && !announcer.hasAttribute("aria-live")) {
      announcer.setAttribute("aria-live", "polite");
      announcer.setAttribute("role", "status");
    }
    for (const [id, words] of Object.entries(window.decontext.words)) {
      const button = document.querySelector(`#${id} button[aria-dropeffect]`);
      const shown = button?.querySelector("[data-testid='upload-text']");
      if (!shown) continue;
      const title = document.querySelector(`#${id} [data-testid='block-label']`);
      const name = `${title?.innerText.trim() || ""}: ${words}`;
      const [first, ...others] = texts(shown);
      if (first && first.nodeValue.trim() !== words) first.nodeValue = words;
      for (const other of others) if (other.nodeValue) other.nodeValue = "";
      if (button.getAttribute("aria-label") !== name) button.setAttribute("aria-label", name);
    }
    for (const group of document.querySelectorAll("fieldset.dc-choices")) {
      const name = group.querySelector("[data-testid='block-info']")?.textContent.trim();
      if (name && group.getAttribute("aria-label") !== name) {
        group.setAttribute("role", "radiogroup");
        group.setAttribute("aria-label", name);
      }
    }
  };

  // What comes is brought into view once, and who uses a keyboard goes on from there.
  const COMES = [
    ["#status .dc-progress", "#cancel", "center"],
    ["#status .dc-notice", "#start", "nearest"],
    ["#result .dc-result", "#dc-result-title", "start"],
    ["#proof-status .dc-progress", null, "center"],
    ["#proof .dc-proof", null, "start"],
    ["#check-status .dc-progress", "#stop-check", "center"],
    ["#checked .dc-checked", "#dc-checked-title", "nearest"],
  ];
  const show = (selector, where) => {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const part = document.querySelector(selector);
    part?.scrollIntoView({ block: where, behavior: calm ? "auto" : "smooth" });
  };
  const there = new Set();
  const follow = () => {
    for (const [selector, next, where] of COMES) {
      const part = document.querySelector(selector);
      if (!part) there.delete(selector);
      if (!part || there.has(selector)) continue;
      there.add(selector);
      setTimeout(() => show(selector, where), 250); // The parts above it come and go first.
      const lost = document.activeElement;
      const isLost = !lost || lost === document.body || lost.disabled || !lost.offsetParent;
      if (next && isLost) document.querySelector(next)?.focus({ preventScroll: true });
    }
  };
  const look = () => {
    labels();
    follow();
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
})();
