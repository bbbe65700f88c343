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

  // Gradio draws these itself; this says of them what it leaves out.
  const labels = () => {
    const announcer = document.querySelector("#dc-announce");
    if (announcer && !announcer.hasAttribute("aria-live")) {
      announcer.setAttribute("aria-live", "polite");
      announcer.setAttribute("role", "status");
    }
    for (const button of document.querySelectorAll("button[aria-dropeffect]")) {
      const title = button.closest(".block")?.querySelector("[data-testid='block-label']");
      const name = [title, button].map((part) => part?.innerText.trim() || "").join(": ");
      const plain = name.replace(/\s+/g, " ");
      if (button.innerText.trim() && button.getAttribute("aria-label") !== plain) {
        button.setAttribute("aria-label", plain);
      }
    }
    for (const group of document.querySelectorAll(".dc-choices")) {
      const title = group.querySelector("[data-testid='block-info']");
      const name = title ? title.textContent.trim() : "";
      const wrap = group.querySelector(".wrap");
      if (wrap && name && wrap.getAttribute("aria-label") !== name) {
        wrap.setAttribute("role", "radiogroup");
        wrap.setAttribute("aria-label", name);
      }
    }
  };
  new MutationObserver(labels).observe(document, { childList: true, subtree: true });
})();
