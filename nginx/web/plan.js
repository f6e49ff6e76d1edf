import { get, post } from './api.js';
import { openForm } from './dialogs.js';
import { h, said } from './dom.js';
import { when } from './forms.js';
import { newKey } from './http.js';
import { notice, noticeProblem } from './notices.js';
import { changeUser, user } from './session.js';
import { lateSection } from './settings.js';

export const sections = () => [lateSection('Today', usage), lateSection('Your plan', plan), lateSection('Invoices', invoices)];

const number = (value) => new Intl.NumberFormat().format(value);
const facts = (pairs) => h('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));

async function usage() {
    const { daily: { limit, used, remaining, resets_at }, tokens } = await get('/user/usage');
    const reset = resets_at && ` The count begins anew ${when(Math.max(0, Math.ceil((new Date(resets_at) - Date.now()) / 1000)))}.`;
    return [
        h('p', {}, limit === null ? `${number(used)} ${used === 1 ? 'message' : 'messages'}, without a limit.` : `${number(used)} of ${number(limit)} messages; ${number(remaining)} left.`, reset),
        limit !== null && h('progress', { class: 'meter', max: limit, value: Math.min(used, limit), 'aria-label': 'Messages used today' }),
        tokens && facts([['Tokens read', number(tokens.prompt)], ['Tokens written', number(tokens.output)], ['Together', number(tokens.total)]]),
    ];
}

/** Why a subscription does not pay for Pro at present, by the code of its notice. */
const held = {
    subscription_paused: 'Your subscription is paused, as after a trial that ended without a payment method. Add one, then resume Pro.',
    collection_paused: 'Payments for your subscription are paused, and Pro with them.',
    payment_due: 'A payment for Pro is due.',
};

async function plan(refresh) {
    // Who comes back from Stripe is on the new plan as soon as Stripe is asked; its own word may be on its way.
    const came = location.hash.split('/')[3];
    const isNews = came === 'paid' || came === 'changed';
    const status = await (isNews ? post('/subscription/refresh') : get('/subscription/status'));
    if (came) history.replaceState(null, '', '/#/settings/plan');
    if (came === 'paid' && status.tier !== 'pro') return [
        h('p', {}, 'Stripe has not confirmed the payment yet. That may take a moment.'),
        h('div', { class: 'actions' }, action('Look again', 'primary', async () => { await post('/subscription/refresh'); await refresh(); })),
    ];
    if (status.tier !== user().tier) changeUser({ ...user(), tier: status.tier });
    const day = (time) => said(time, { dateStyle: 'long' });
    const portal = (label, className) => action(label, className, async () => location.assign((await post('/subscription/portal', undefined, { key: newKey() })).url));
    const act = (path, said) => async () => { await post(path); notice(said); await refresh(); };
    if (status.tier !== 'pro' && status.notice) return [h('p', {}, held[status.notice.code] ?? status.notice.detail),
        status.notice.resumes_at && h('p', {}, `Payments resume on ${day(status.notice.resumes_at)}.`),
        h('div', { class: 'actions' },
            status.notice.code === 'subscription_paused' && portal('Add a payment method', 'primary'),
            status.notice.code === 'subscription_paused' && action('Resume Pro', 'quiet', act('/subscription/resume', 'Pro is resumed.')),
            status.notice.code === 'payment_due' && portal('Pay', 'primary'))];
    if (status.tier !== 'pro') {
        return [h('p', {}, 'Basic: a few messages a day. Pro has many more, and longer memories of each chat.'),
            h('div', { class: 'actions' }, action('Upgrade to Pro', 'primary', async () => location.assign((await post('/subscribe/pro', undefined, { key: newKey() })).checkout_url)))];
    }
    return [
        h('p', {}, 'You are on Pro. Thank you.'),
        facts([
            status.status && ['State', status.status.replaceAll('_', ' ')], status.current_period_end && [status.cancel_at ? 'Paid until' : 'Renews on', day(status.current_period_end)],
            status.cancel_at && ['Ends on', day(status.cancel_at)], status.grace_until && ['Payment is late; Pro goes on until', day(status.grace_until)],
        ]),
        h('div', { class: 'actions' },
            status.cancel_at ? action('Keep Pro', 'primary', act('/subscription/resume', 'Pro goes on.'))
                : h('button', { type: 'button', class: 'quiet', onclick: () => openForm('Cancel Pro?', {
                    text: status.current_period_end ? `It stays yours until ${day(status.current_period_end)}.` : 'It stays yours to the end of the time that is paid.', submit: 'Cancel Pro', cancel: 'Keep it', danger: true,
                    onsubmit: act('/subscription/cancel', 'Cancelled. Pro stays yours to the end of the time that is paid.'),
                }) }, 'Cancel Pro'),
            portal('Cards and invoices', 'quiet')),
    ];
}

const action = (label, className, run) => h('button', {
    type: 'button', class: className,
    onclick: async ({ currentTarget: button }) => {
        button.disabled = true;
        await run().catch(noticeProblem);
        button.disabled = false;
    },
}, label);

async function invoices() {
    const { invoices } = await get('/subscription/invoices');
    if (!invoices.length) return h('p', {}, 'There are none.');
    return h('ul', { class: 'rows' }, invoices.map(({ number, status, amount, currency, created_at, hosted_url }) => h('li', {},
        h('div', {}, h('h3', {}, money(amount, currency)), h('p', {}, [number, status, said(created_at, { dateStyle: 'long' })].filter(Boolean).join(' · '))),
        /^https?:/.test(hosted_url) && h('a', { class: 'button quiet', href: hosted_url, target: '_blank', rel: 'noopener noreferrer' }, 'Open'))));
}

/** An amount in a currency's smallest unit, as Stripe has it. */
function money(amount, currency) {
    const format = new Intl.NumberFormat(undefined, { style: 'currency', currency });
    return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}
