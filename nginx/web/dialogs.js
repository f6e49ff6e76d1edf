import { $, h, iconButton } from './dom.js';
import { form } from './forms.js';

/** Opens a dialog with a heading. It ends by Escape, by its cross, or by `close()` of what is returned. */
export function openDialog(title, ...content) {
    const id = `dialog-${Date.now()}`;
    const close = () => dialog.close();
    const dialog = h('dialog', { 'aria-labelledby': id, closedby: 'any', onclose: () => dialog.remove() },
        h('header', {}, h('h2', { id }, title), iconButton('close', 'Close', close)), content);
    document.body.append(dialog);
    dialog.showModal();
    $('[autofocus], input, textarea, select, form button', dialog)?.focus();
    return { element: dialog, close };
}

/** A dialog with a form, which ends when it was sent well. */
export function openForm(title, { text, cancel = 'Cancel', onsubmit, ...options }) {
    const leave = h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, cancel);
    const dialog = openDialog(title, text && h('p', {}, text), form({
        fields: [], others: [leave], ...options,
        onsubmit: async (values) => { await onsubmit(values); dialog.close(); },
    }));
    return dialog;
}

/** A menu of `[label, run]` under a button; null leaves an item out. Arrows, Home and End walk through it. */
export function openMenu(button, items) {
    const buttons = items.filter(Boolean).map(([label, run, isDanger]) => h('button', {
        type: 'button', role: 'menuitem', tabindex: -1, class: isDanger && 'is-danger',
        onclick: () => { menu.hidePopover(); button.focus(); run(); },
    }, label));
    const menu = h('div', { role: 'menu', class: 'menu', popover: 'auto', 'aria-label': button.getAttribute('aria-label'), onkeydown: walk }, buttons);
    function walk(event) {
        const at = buttons.indexOf(document.activeElement);
        const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
        if (event.key === 'Tab') menu.hidePopover();
        if (to === undefined) return;
        event.preventDefault();
        buttons.at(to % buttons.length).focus();
    }
    menu.addEventListener('toggle', ({ newState }) => {
        if (newState === 'open') return;
        menu.remove();
        button.ariaExpanded = 'false';
    });
    document.body.append(menu);
    menu.showPopover();
    button.ariaExpanded = 'true';
    const { left, right, bottom, top } = button.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = menu;
    menu.style.left = `${Math.max(8, left + width < innerWidth - 8 ? left : right - width)}px`;
    menu.style.top = `${bottom + height < innerHeight - 8 ? bottom + 4 : Math.max(8, top - height - 4)}px`;
    buttons[0].focus();
}
