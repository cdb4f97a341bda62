// Sorting and searching of the tables. Without it, everything on the page can still be read.
(function () {
  "use strict";

  function all(selector, within) {
    return Array.prototype.slice.call((within || document).querySelectorAll(selector));
  }

  // Numbers come in their order, texts behind them in theirs, and cells without a value last, in any direction.
  function compared(one, other, sign) {
    var a = one.getAttribute("data-value"), b = other.getAttribute("data-value");
    if (a !== null && b !== null) { return sign * (Number(a) - Number(b)); }
    if (a !== null || b !== null) { return a !== null ? -1 : 1; }
    var s = one.textContent.trim(), t = other.textContent.trim();
    if (s === "–" || t === "–") { return (s === "–") - (t === "–"); }
    return sign * (s < t ? -1 : s > t ? 1 : 0);
  }

  // Rows are sorted within their group, so that references stay on top.
  function sort(table, column, order) {
    all("tbody", table).forEach(function (group) {
      var rows = all("tr", group);
      rows.sort(function (one, other) {
        var before = Number(one.getAttribute("data-row")) - Number(other.getAttribute("data-row"));
        if (order === "none") { return before; }
        return compared(one.cells[column], other.cells[column], order === "ascending" ? 1 : -1) || before;
      });
      rows.forEach(function (row) { group.appendChild(row); });
    });
  }

  function next(order, first) {
    var second = first === "ascending" ? "descending" : "ascending";
    return order === "none" ? first : order === first ? second : "none";
  }

  function makeSortable(table) {
    var headings = all("thead th", table);
    all("tbody tr", table).forEach(function (row, index) { row.setAttribute("data-row", index); });
    headings.forEach(function (heading, column) {
      var button = document.createElement("button"), mark = document.createElement("span");
      button.type = "button";
      while (heading.firstChild) { button.appendChild(heading.firstChild); }
      mark.className = "order";
      mark.setAttribute("aria-hidden", "true");
      button.appendChild(mark);
      heading.appendChild(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", function () {
        var order = next(heading.getAttribute("aria-sort"), heading.getAttribute("data-first") || "ascending");
        headings.forEach(function (each) { each.setAttribute("aria-sort", "none"); });
        heading.setAttribute("aria-sort", order);
        sort(table, column, order);
      });
    });
  }

  // A row is shown if its name has one of the words; references always are.
  function makeSearchable(tools) {
    var input = tools.querySelector("input"), found = tools.querySelector("output");
    var rows = all("table.named tbody:not(.references) tr");
    if (!rows.length) { return; }
    function search() {
      var words = input.value.toLowerCase().split(/[\s,]+/).filter(Boolean), shown = {}, names = {};
      rows.forEach(function (row) {
        var name = row.cells[0].textContent.toLowerCase();
        var fits = !words.length || words.some(function (word) { return name.indexOf(word) >= 0; });
        row.hidden = !fits;
        names[name] = true;
        if (fits) { shown[name] = true; }
      });
      found.textContent = words.length ? Object.keys(shown).length + " of " + Object.keys(names).length + " shown" : "";
    }
    input.addEventListener("input", search);
    tools.hidden = false;
    search();
  }

  all("table.sortable").forEach(makeSortable);
  all(".tools").forEach(makeSearchable);
  // On a small screen the legend is long: there it opens by a touch. On paper it is open.
  function showLegend(isOpen) {
    all("details.legend").forEach(function (each) { each.open = isOpen; });
  }
  if (window.innerWidth < 640) { showLegend(false); }
  window.addEventListener("beforeprint", function () { showLegend(true); });
})();
