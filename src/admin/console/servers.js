// The list of origin servers: address, role, weight, and names of their own.
import { h, replace } from "./dom.js";
import { frame } from "./fields.js";
import { button } from "./parts.js";

/** Rows for `origin.servers`; texts where the address says all, tables where more is set. */
export function serversField(draft) {
  const rows = (draft.read("origin.servers") ?? []).map((server) => (typeof server === "string" ? { address: server } : { ...server }));
  if (rows.length === 0) rows.push({ address: "" });
  const box = h("div", { class: "servers" });
  const save = () => draft.write("origin.servers", rows.filter((row) => row.address).map(written));
  const remove = (index) => {
    rows.splice(index, 1);
    if (rows.length === 0) rows.push({ address: "" });
    save();
    draw();
  };
  const add = () => {
    rows.push({ address: "", role: "backup" });
    draw();
    box.querySelector(".server:last-of-type input")?.focus();
  };
  const draw = () => replace(box, rows.map((row, index) => serverRow(row, index, { save, remove, only: rows.length === 1 })), button("Add a server", add, { kind: "quiet flush", iconName: "plus" }));
  draw();
  return frame(draft, "origin.servers", { label: "Servers", key: "servers", item: "Server", isHidden: true }, box, { group: true, row: (part) => box.querySelectorAll(".server")[rows.indexOf(rows.filter((row) => row.address)[part - 1])] });
}

/** As it stands in the file: without what is the default. */
function written(row) {
  const table = Object.fromEntries(Object.entries(row).filter(([key, value]) => value !== "" && value !== null && value !== undefined && !(key === "role" && value === "primary") && !(key === "weight" && value === 1)));
  return Object.keys(table).length === 1 ? table.address : table;
}

function serverRow(row, index, { save, remove, only }) {
  const input = (key, label, extra) => {
    const id = `server-${index}-${key}`;
    const control = h("input", { class: "input", type: "text", id, value: row[key] ?? "", autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...extra, oninput: () => {
      const value = control.value.trim();
      row[key] = extra.type === "number" && value !== "" ? Number(value) : value;
      save();
    } });
    return h("div", { class: "field" }, h("label", { for: id, class: "field-label" }, label), control);
  };
  const role = h("select", { class: "input", id: `server-${index}-role`, onchange: () => {
    row.role = role.value;
    save();
  } }, ["primary", "backup"].map((value) => h("option", { value, selected: value === (row.role ?? "primary") }, value === "primary" ? "Primary" : "Backup")));
  const own = row.host || row.sni;
  return h(
    "div",
    { class: "server", role: "group", "aria-label": `Server ${index + 1}` },
    input("address", "Address", { class: "input mono", placeholder: "origin.example.net:8443", name: `origin.servers.${index}.address` }),
    h("div", { class: "field" }, h("label", { for: `server-${index}-role`, class: "field-label" }, "Role"), role),
    input("weight", "Weight", { type: "number", min: 1, max: 1000, placeholder: "1" }),
    button("", () => remove(index), { kind: "quiet", iconName: "trash", label: `Remove server ${index + 1}`, disabled: only }),
    h("details", { class: "server-more", open: Boolean(own) }, h("summary", {}, "Names of its own"), h("div", { class: "fields" }, input("host", "Host for this server", { class: "input mono", placeholder: "as above" }), input("sni", "SNI for this server", { class: "input mono", placeholder: "as above" }))),
  );
}
