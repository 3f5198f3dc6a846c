/** Fits a form to the search methods: some search cells of one family alone, and each has fields of its own. */

/**
 * Offer only the methods that search cells of the family, in all groups of a form's fields.
 * @template {GroupField} Fields
 * @param {Fields} group
 * @param {Method[]} methods
 * @param {Family} family
 * @returns {Fields}
 */
export function fitting(group, methods, family) {
  const able = new Set(methods.filter(({ families }) => families.includes(family)).map(({ name }) => name));
  /** @param {Field} field @returns {Field} */
  const fitted = (field) => {
    if (field.type === "group") return fitting(field, methods, family);
    if (field.name !== "method" || field.type !== "choice") return field;
    return { ...field, values: field.values.filter((value) => able.has(String(value))) };
  };
  return { ...group, fields: group.fields.map(fitted) };
}

/**
 * The field as a method has it, with its default; undefined where it is not one of the method's.
 * @param {Method[]} methods
 * @param {unknown} method its name
 * @param {string} field
 */
export function fieldOf(methods, method, field) {
  return methods.find(({ name }) => name === method)?.fields.find(({ name }) => name === field);
}

/**
 * Whether a field belongs to other methods than this one.
 * @param {Method[]} methods
 * @param {unknown} method its name
 * @param {string} field
 */
export function isForeign(methods, method, field) {
  return !fieldOf(methods, method, field) && methods.some(({ name }) => fieldOf(methods, name, field));
}

/**
 * The value from which a method starts a field of all searches, in place of the preset's.
 * @param {Method[]} methods
 * @param {unknown} method
 * @param {string} field
 */
export function startOf(methods, method, field) {
  return methods.find(({ name }) => name === method)?.defaults[field];
}
