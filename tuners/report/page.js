function reveal() {
  var target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  var fold = target && target.closest("details");
  if (!fold || fold.open) return;
  fold.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();

var table = document.getElementById("trials-table");
var heads = table ? Array.from(table.tHead.rows[0].cells) : [];
heads.forEach(function (head, column) {
  var button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  head.replaceChildren(button);
  button.addEventListener("click", function () {
    var rising = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    var keyed = Array.from(table.tBodies[0].rows, function (row) {
      var cell = row.cells[column];
      return { row: row, number: parseFloat(cell.dataset.sort), text: cell.textContent };
    });
    keyed.sort(function (a, b) {
      if (isNaN(a.number) !== isNaN(b.number)) return isNaN(a.number) ? 1 : -1;
      var order = isNaN(a.number) ? a.text.localeCompare(b.text) : a.number - b.number;
      return rising ? order : -order;
    });
    table.tBodies[0].append(...keyed.map(function (entry) { return entry.row; }));
  });
});
