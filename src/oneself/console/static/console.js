// Hides the fields of an attribute that its value type makes meaningless, and offers “combine” only for lists. The
// service checks both again.
for (const form of document.querySelectorAll("[data-attribute-form]")) {
  const type = form.elements.namedItem("value_type");
  const several = form.elements.namedItem("multi_valued");
  const combine = form.querySelector('[name="merge_strategy"][value="combine"]');
  const overwrite = form.querySelector('[name="merge_strategy"][value="overwrite"]');
  const update = () => {
    for (const part of form.querySelectorAll("[data-for-type]")) {
      part.hidden = part.dataset.forType !== type.value;
    }
    combine.disabled = !several.checked;
    if (combine.disabled && combine.checked) overwrite.checked = true;
  };
  form.addEventListener("change", update);
  update();
}
// A page that reports a problem begins there.
document.querySelector('[role="alert"][tabindex]')?.focus();
// What a page says once is not said again when the browser shows the page as it was left.
addEventListener("pagehide", () => {
  for (const message of document.querySelectorAll("[data-flash]")) message.remove();
});
// Copies the text of an element, where the browser allows it.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}
