import { $, h, said } from './dom.js';

let made = 0;

/** A labelled field; `options` ([value, label]) make it a choice, `rows` a text of several lines. */
export function field({ name, label, hint, options, rows, value, ...attributes }) {
    const id = `field-${++made}`;
    const kind = options ? 'select' : rows ? 'textarea' : 'input';
    const control = h(kind, { id, name, rows, 'aria-describedby': `${id}-hint ${id}-fault`, ...attributes },
        options?.map(([value, label]) => h('option', { value }, label)));
    if (value != null) control.value = value;
    return h('div', { class: 'field' }, h('label', { for: id }, label), control,
        h('p', { id: `${id}-hint`, class: 'hint' }, hint), h('p', { id: `${id}-fault`, class: 'fault' }));
}

/** Where a code is entered: six digits, with spaces or dashes where they are copied along. */
export const codeField = (attributes) => field({
    name: 'otp', label: 'Code', inputmode: 'numeric', autocomplete: 'one-time-code', pattern: '[\\s\\p{Pd}\\p{Cf}.]*([0-9][\\s\\p{Pd}\\p{Cf}.]*){6}', maxlength: 20,
    title: 'Six digits', ...attributes,
});

/**
 * A form that says what was wrong with what was sent, beside the fields it is about.
 * @param onsubmit(values): does it; a Problem that it throws is shown.
 */
export function form({ fields, submit, others = [], danger = false, onsubmit }) {
    const message = h('p', { class: 'problem', role: 'alert' });
    const button = h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, submit);
    const element = h('form', {}, fields, message, h('div', { class: 'actions' }, others, button));
    element.addEventListener('submit', async (event) => {
        event.preventDefault();
        if (button.ariaDisabled === 'true') return;
        button.ariaDisabled = 'true';
        clear(element);
        let isHeld = false;
        try {
            await onsubmit(Object.fromEntries(new FormData(element)));
        } catch (problem) {
            isHeld = tell(element, problem, () => { button.ariaDisabled = 'false'; });
        } finally {
            if (!isHeld) button.ariaDisabled = 'false';
        }
    });
    return element;
}

function clear(element) {
    $('.problem', element).replaceChildren();
    for (const fault of element.querySelectorAll('.fault')) fault.textContent = '';
    for (const control of element.querySelectorAll('[aria-invalid]')) control.removeAttribute('aria-invalid');
}

/** Shows a problem; whether nothing can be sent again for now. `release` is called when it can. */
function tell(element, problem, release) {
    if (problem.status === undefined) console.error(problem);
    let first = null;
    for (const { field, detail } of problem.errors ?? []) {
        const control = element.elements[field];
        if (!control) continue;
        control.setAttribute('aria-invalid', 'true');
        $('.fault', control.closest('.field')).textContent = `${detail[0].toUpperCase()}${detail.slice(1)}.`;
        first ??= control;
    }
    if (first) return first.focus(), false;
    const left = problem.attempts_left;
    const tries = left === undefined ? '' : left === 0 ? ' Ask for a new one.' : ` ${left} ${left === 1 ? 'try' : 'tries'} left.`;
    $('.problem', element).append(problem.message + tries);
    if (problem.status !== 429 || !problem.retryAfter) return false;
    const rest = h('span', {});
    $('.problem', element).append(' ', rest);
    countdown(problem.retryAfter, (text) => { rest.textContent = text ? `You can go on ${text}.` : 'You can go on now.'; }, release);
    return true;
}

/** When so many seconds are over: "in 12 s", "at 14:05", with the day where it is another. */
export function when(seconds) {
    if (seconds < 100) return `in ${seconds} s`;
    const time = new Date(Date.now() + seconds * 1000);
    return `at ${said(time, { timeStyle: 'short', dateStyle: time.getDate() === new Date().getDate() ? undefined : 'medium' })}`;
}

/** Calls `show` each second with when it will be over, and with "" when it is, before `done`; what is returned ends it. */
export function countdown(seconds, show, done = () => {}) {
    const end = Date.now() + seconds * 1000;
    const step = () => {
        const rest = Math.ceil((end - Date.now()) / 1000);
        show(rest <= 0 ? '' : when(rest));
        if (rest <= 0) {
            clearInterval(timer);
            done();
        }
    };
    const timer = setInterval(step, 1000);
    step();
    return () => clearInterval(timer);
}
