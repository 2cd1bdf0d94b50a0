/**
 * Describes what the page should look like, and makes it so with as few changes as possible: what has the focus keeps
 * it, what is scrolled stays. Everything becomes elements and text nodes; no string is ever read as HTML.
 */

const SVG = "http://www.w3.org/2000/svg";
const TOLD = Symbol("the props an element was given last");
const KEY = Symbol("what tells an element from its siblings");

const shown = (each) => each !== null && each !== undefined && each !== false && each !== "";

/** An element to be. Props: functions and `value`, `checked`, `data` are set as properties, `style` property by
 * property, true and false toggle an attribute, anything else becomes an attribute. */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: children.flat(Infinity).filter(shown) };
}

/** Makes the children of `parent` what `wanted` describes. */
export function render(parent, ...wanted) {
  arrange(parent, wanted.flat(Infinity).filter(shown));
}

function arrange(parent, wanted) {
  const keyed = new Map();
  for (const node of parent.childNodes) if (node[KEY] !== undefined) keyed.set(node[KEY], node);
  let next = parent.firstChild;
  for (const each of wanted) {
    const key = each.props?.key;
    const known = key !== undefined ? keyed.get(key) : next?.[KEY] === undefined ? next : null;
    const node = known && fits(known, each) ? known : create(parent, each);
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
    update(node, each);
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

function fits(node, each) {
  if (typeof each !== "object") return node.nodeType === Node.TEXT_NODE;
  return node.nodeType === Node.ELEMENT_NODE && node.localName === each.tag.toLowerCase() && TOLD in node;
}

function create(parent, each) {
  if (typeof each !== "object") return document.createTextNode("");
  const inside = parent.namespaceURI === SVG && parent.localName !== "foreignObject";
  const node =
    inside || each.tag === "svg" ? document.createElementNS(SVG, each.tag) : document.createElement(each.tag);
  node[TOLD] = {};
  node[KEY] = each.props.key;
  return node;
}

function update(node, each) {
  if (typeof each !== "object") {
    if (node.data !== String(each)) node.data = String(each);
    return;
  }
  const before = node[TOLD];
  node[TOLD] = each.props;
  for (const name of Object.keys(before)) if (!(name in each.props)) set(node, name, null, before[name]);
  // Children first: the value of a select is one of them.
  if (!("data" in each.props)) arrange(node, each.children);
  for (const [name, value] of Object.entries(each.props)) set(node, name, value, before[name]);
}

function set(node, name, value, before) {
  if (name === "key") return;
  if (name === "value") {
    if (document.activeElement !== node && node.value !== String(value ?? "")) node.value = value ?? "";
  } else if (value === before) {
    return;
  } else if (name === "style") {
    for (const [property, text] of Object.entries(value ?? {})) node.style.setProperty(property, text);
  } else if (name === "data" || name === "checked" || name.startsWith("on")) {
    node[name] = value;
  } else if (value === null || value === undefined || value === false) {
    node.removeAttribute(name);
  } else {
    node.setAttribute(name, value === true ? "" : value);
  }
}
