// Of the photos that were dropped one is taken away again. Runs where their names are, see `page`.
let gone = null;
element.addEventListener("click", (event) => {
  const button = event.target.closest(".dc-remove");
  if (!button) return;
  gone = [...element.querySelectorAll(".dc-remove")].indexOf(button);
  trigger("click", { number: Number(button.value), name: button.dataset.name });
});
// Who uses a keyboard goes on from its neighbour.
watch("value", () => {
  if (gone === null) return;
  const left = [...element.querySelectorAll(".dc-remove")];
  const next = left[Math.min(gone, left.length - 1)] || document.querySelector("#photos button");
  gone = null;
  next?.focus();
});
