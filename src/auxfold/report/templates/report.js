// The page is complete without this script: it only adds the switch and the filter.
document.getElementById("controls").hidden = false;
const texts = document.getElementById("show-texts");
texts?.addEventListener("change", () => {
  for (const details of document.querySelectorAll("details.text")) details.open = texts.checked;
});
const filter = document.getElementById("task-filter");
filter?.addEventListener("change", () => {
  for (const element of document.querySelectorAll("[data-task]"))
    element.hidden = filter.value !== "" && element.dataset.task !== filter.value;
});
