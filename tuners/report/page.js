(function () {
  var table = document.getElementById("trials-table");
  if (!table) return;
  var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
  heads.forEach(function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.appendChild(button);
    button.addEventListener("click", function () {
      var rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      var body = table.tBodies[0];
      var keyed = Array.prototype.map.call(body.rows, function (row) {
        var cell = row.cells[column];
        var key = cell.getAttribute("data-sort");
        return { row: row, number: key === null ? NaN : parseFloat(key), text: cell.textContent };
      });
      keyed.sort(function (a, b) {
        var a_is = !isNaN(a.number), b_is = !isNaN(b.number);
        if (a_is !== b_is) return a_is ? -1 : 1;
        var order = a_is ? a.number - b.number : a.text.localeCompare(b.text);
        return rising ? order : -order;
      });
      keyed.forEach(function (entry) { body.appendChild(entry.row); });
    });
  });
})();
