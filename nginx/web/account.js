import { patch } from './api.js';
import { h } from './dom.js';
import { field, form } from './forms.js';
import { notice, noticeProblem } from './notices.js';
import { changeUser, user } from './session.js';
import { signOut } from './security.js';
import { section } from './settings.js';

export const sections = () => [section('You', profile()), section('Appearance', appearance()), section('This device', h('div', { class: 'actions' },
    h('button', { type: 'button', class: 'quiet', onclick: () => signOut().catch(noticeProblem) }, 'Sign out')))];

function profile() {
    const { mobile, username, timezone, retention_days } = user();
    const zones = Intl.supportedValuesOf('timeZone');
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const current = timezone ?? 'UTC';
    return [h('p', {}, `Signed in as ${mobile}.`), form({
        fields: [
            field({ name: 'username', label: 'Name', value: username ?? '', maxlength: 80, autocomplete: 'name' }),
            field({
                name: 'timezone', label: 'Time zone', value: current, hint: `A day of your plan begins at midnight there. This device is in ${here}.`,
                options: [...new Set([current, here, 'UTC', ...zones])].map((zone) => [zone, zone.replaceAll('_', ' ')]),
            }),
            field({
                name: 'retention_days', label: 'Keep messages for (days)', type: 'number', min: 1, max: 3650, value: retention_days ?? '',
                hint: 'Empty: for as long as you keep the chat. A chat may have a time of its own.',
            }),
        ],
        submit: 'Save',
        onsubmit: async (values) => {
            const days = values.retention_days ? Number(values.retention_days) : null;
            const changes = { username: values.username.trim() || null, timezone: values.timezone, ...(days !== (user().retention_days ?? null) && { retention_days: days }) };
            changeUser((await patch('/user/me', changes)).user);
            notice('Saved.');
        },
    })];
}

function appearance() {
    const root = document.documentElement;
    const choose = ({ target }) => {
        root.dataset.theme = target.value;
        localStorage.setItem('theme', target.value);
    };
    return h('fieldset', { class: 'choices', 'aria-label': 'Appearance' }, [['system', 'As the system'], ['light', 'Light'], ['dark', 'Dark']].map(([value, label]) =>
        h('label', {}, h('input', { type: 'radio', name: 'theme', value, checked: root.dataset.theme === value, onchange: choose }), label)));
}
