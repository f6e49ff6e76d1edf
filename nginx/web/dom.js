// Elements are made one by one and text is only ever text: no string is parsed as HTML anywhere on this page.

import { paths } from './icons.js';

/** An element with its attributes, listeners (`onclick`) and children; a child that is null or false is left out. */
export function h(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (value === false || value == null) continue;
        if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
        else element.setAttribute(key, value === true ? '' : value);
    }
    element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
    return element;
}

export const $ = (selector, within = document) => within.querySelector(selector);

const svg = 'http://www.w3.org/2000/svg';

/** One of the line drawings of icons.js, hidden from screen readers: what bears it has a label. */
export function icon(name) {
    const drawing = document.createElementNS(svg, 'svg');
    for (const [key, value] of Object.entries({ viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true' })) {
        drawing.setAttribute(key, value);
    }
    const path = document.createElementNS(svg, 'path');
    path.setAttribute('d', paths[name]);
    drawing.append(path);
    return drawing;
}

/** A button that shows only a drawing; its label is its name and its tooltip. */
export function iconButton(name, label, onclick, attributes = {}) {
    return h('button', { type: 'button', class: 'icon-button', 'aria-label': label, title: label, onclick, ...attributes }, icon(name));
}

/** A time as people say it, in their language. */
export function said(time, options = { dateStyle: 'medium', timeStyle: 'short' }) {
    return new Intl.DateTimeFormat(undefined, options).format(new Date(time));
}
