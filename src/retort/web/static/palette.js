// Types of entities become slots of palette.css, as palette.py does it; a test holds them together.

const FAMILIES = {
  org: ["org", "organization", "organisation", "corporation"],
  loc: ["loc", "location"],
  per: ["per", "person"],
  misc: ["misc", "miscellaneous"],
};
const N_OTHERS = 24;

const FAMILY = new Map(Object.entries(FAMILIES).flatMap(([family, names]) => names.map((name) => [name, family])));

/** The types that a model's tags or bare labels speak of, in order. */
export function typesOf(labels) {
  const names = labels.filter((label) => label !== "O").map((label) => label.replace(/^[BI]-/, ""));
  return [...new Set(names)].sort();
}

/** A Map from each of a model's types to its slot. */
export function assignSlots(labels) {
  const slots = new Map();
  const taken = new Set();
  for (const name of typesOf(labels)) {
    const family = FAMILY.get(name.toLowerCase());
    if (family !== undefined) {
      slots.set(name, family);
      continue;
    }
    let place = hash(name) % N_OTHERS;
    if (taken.size < N_OTHERS) {
      while (taken.has(place)) place = (place + 1) % N_OTHERS;
      taken.add(place);
    }
    slots.set(name, `other-${place}`);
  }
  return slots;
}

/** FNV-1a over UTF-16 units, 32 bits. */
function hash(name) {
  let found = 2166136261;
  for (let i = 0; i < name.length; i++) found = Math.imul(found ^ name.charCodeAt(i), 16777619) >>> 0;
  return found;
}
