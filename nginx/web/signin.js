// The way in: by a code that is sent to the mobile number, or by a password.

import { $, h } from './dom.js';
import { codeField, countdown, field, form } from './forms.js';
import { json, send } from './http.js';
import { announce } from './notices.js';
import { begin } from './session.js';

const post = async (path, body) => json(await send('POST', path, { body }));

const mobileField = (value) => field({
    name: 'mobile', label: 'Mobile number', type: 'tel', autocomplete: 'tel', required: true, value, placeholder: '+91 98765 43210',
    hint: 'With the country code, as in +91 or +1.',
});
const passwordField = (name, label, autocomplete, rest = {}) => field({ name, label, type: 'password', autocomplete, ...rest });
const newCodeField = () => codeField({ required: true, class: 'otp' });
const link = (label, onclick) => h('button', { type: 'button', class: 'link', onclick }, label);

/** Shows the way in within `root`; `reason` says why whoever was in is out. */
export function showSignIn(root, reason) {
    const card = h('main', { id: 'main', class: 'card', tabindex: -1 });
    root.replaceChildren(h('div', { class: 'doorway' }, card));
    let stopTimer = () => {};

    function show(title, ...content) {
        stopTimer();
        document.title = title;
        card.replaceChildren(h('img', { src: 'icon.svg', alt: '', width: 40, height: 40 }), h('h1', {}, title), ...content.filter(Boolean));
        $('input:not([value])', card)?.focus();
    }

    function byCode(mobile = '') {
        show('Sign in', reason && h('p', { class: 'reason', role: 'alert' }, reason), form({
            fields: [mobileField(mobile)], submit: 'Send me a code',
            onsubmit: async ({ mobile }) => enterCode(mobile, await post('/auth/send-otp', { mobile })),
        }), h('p', { class: 'ways' }, link('Use a password', () => byPassword(number(mobile))), link('Create an account', () => signUp(number(mobile)))));
        reason = null;
    }

    /** What stands in the form's field, so that nobody types their number twice. */
    const number = (before) => $('[name=mobile]', card)?.value ?? before;

    function byPassword(mobile) {
        show('Sign in', form({
            fields: [mobileField(mobile), passwordField('password', 'Password', 'current-password', { required: true })], submit: 'Sign in',
            onsubmit: async (values) => begin(await post('/auth/login', values)),
        }), h('p', { class: 'ways' }, link('Use a code', () => byCode(number(mobile))), link('Forgot the password?', () => forgot(number(mobile)))));
    }

    function signUp(mobile) {
        show('Create an account', form({
            fields: [
                mobileField(mobile), field({ name: 'username', label: 'Name (optional)', autocomplete: 'name', maxlength: 80 }),
                passwordField('password', 'Password (optional)', 'new-password', { minlength: 8, maxlength: 128, hint: 'At least 8 characters. A code on your mobile always works too.' }),
            ],
            submit: 'Create it',
            onsubmit: async ({ mobile, username, password }) => {
                await post('/auth/signup', { mobile, username: username || undefined, password: password || undefined });
                enterCode(mobile, await post('/auth/send-otp', { mobile }), { username: username || undefined, password: password || undefined, isNew: true });
            },
        }), h('p', { class: 'ways' }, link('I have an account', () => byCode(number(mobile)))));
    }

    /** `username` and `password` are of a new account: they count only with the code that proves its number. */
    function enterCode(mobile, sent, { username, password, isNew } = {}) {
        const again = () => post('/auth/send-otp', { mobile });
        const element = form({
            fields: [newCodeField()], submit: 'Go on', others: [resend(again)],
            onsubmit: async ({ otp }) => begin(await post('/auth/verify-otp', { mobile, otp, username, password })),
        });
        show('Enter the code', h('p', {}, isNew ? `It is on its way to ${mobile}.` : `If ${mobile} has an account, a code is on its way to it.`), shownCode(sent), element,
            h('p', { class: 'ways' }, link('Another number', () => byCode(mobile))));
        $('[name=otp]', element).addEventListener('input', ({ target }) => target.value.replace(/\D/g, '').length === 6 && target.validity.valid && element.requestSubmit());
        wait(sent);
    }

    function forgot(mobile) {
        show('Reset the password', form({
            fields: [mobileField(mobile)], submit: 'Send me a code',
            onsubmit: async ({ mobile }) => reset(mobile, await post('/auth/forgot-password', { mobile })),
        }), h('p', { class: 'ways' }, link('Back', () => byPassword(number(mobile)))));
    }

    function reset(mobile, sent) {
        show('Choose a new password', h('p', {}, `If ${mobile} has an account, a code is on its way to it. All devices are signed out.`), shownCode(sent), form({
            fields: [newCodeField(), passwordField('new_password', 'New password', 'new-password', { required: true, minlength: 8, maxlength: 128, hint: 'At least 8 characters.' })],
            submit: 'Set it and sign in', others: [resend(() => post('/auth/forgot-password', { mobile }))],
            onsubmit: async ({ otp, new_password }) => {
                await post('/auth/reset-password', { mobile, otp, new_password });
                begin(await post('/auth/login', { mobile, password: new_password }));
            },
        }));
        wait(sent);
    }

    /** Codes come in the answer where the installation is one for development. */
    function shownCode({ otp }) {
        return otp && h('p', { class: 'shown-code' }, 'No SMS is sent here; the code is ', h('output', {}, otp), '. ',
            link('Fill it in', () => {
                const input = $('[name=otp]', card);
                input.value = otp;
                input.dispatchEvent(new Event('input', { bubbles: true }));
            }));
    }

    function resend(again) {
        return h('button', {
            type: 'button', class: 'quiet', id: 'resend', disabled: true,
            onclick: async ({ currentTarget: button }) => {
                button.disabled = true;
                try {
                    const sent = await again();
                    $('.shown-code', card)?.replaceWith(shownCode(sent));
                    wait(sent);
                    announce('Another code is on its way.');
                } catch (problem) {
                    $('.problem', card).textContent = problem.message;
                    wait({ resend_in: problem.retryAfter });
                }
            },
        }, 'Send another');
    }

    function wait({ resend_in: seconds }) {
        const button = $('#resend', card);
        stopTimer();
        stopTimer = countdown(seconds, (rest) => { button.textContent = rest ? `Another ${rest}` : 'Send another'; }, () => { button.disabled = false; });
    }

    byCode();
}
