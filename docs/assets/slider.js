// Lays the second picture of every .slider over the first, up to a handle that mouse, touch and arrow keys move.
for (const slider of document.querySelectorAll(".slider")) {
  const [left, right] = slider.querySelectorAll("figcaption");
  const handle = document.createElement("input");
  handle.type = "range";
  handle.setAttribute("aria-label", `Compare: ${left.textContent} and ${right.textContent}`);
  handle.addEventListener("input", () => slider.style.setProperty("--at", `${handle.value}%`));
  slider.append(handle);
  slider.classList.add("ready");
}
