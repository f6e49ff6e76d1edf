// One message, as it stands in the conversation.

import { attachmentList } from './attachments.js';
import { h, icon, iconButton, said } from './dom.js';
import { announce } from './notices.js';
import { renderMarkdown } from './markdown.js';
import { modelName } from './models.js';

export class MessageView {
    /** @param on What can be done with it: edit(view, content, ids of the attachments that stay), regenerate(view), continue(view), choose(id). */
    constructor(message, on) {
        this.on = on;
        this.element = h('li', { class: `message of-${message.role}`, tabindex: -1 });
        this.body = h('div', { class: message.role === 'model' ? 'body markdown' : 'body' });
        this.foot = h('div', { class: 'message-foot' });
        this.element.append(h('h2', { class: 'unseen' }, message.role === 'model' ? 'Reply' : 'You'), this.body, this.foot);
        this.update(message);
    }

    get isUnfinished() { return ['queued', 'running'].includes(this.message.status); }

    /** Shows the message as it is now. What of its text stands there already stays. */
    async update(message) {
        this.message = message;
        const isReply = message.role === 'model';
        this.element.classList.toggle('is-waiting', this.isUnfinished && !message.content);
        this.element.classList.toggle('is-sending', message.status === 'sending');
        this.body.ariaBusy = this.isUnfinished ? 'true' : null;
        const drawn = isReply && this.#showText(message.content);
        if (!isReply) this.body.replaceChildren(h('p', {}, message.content), ...(message.attachments?.length ? [attachmentList(message.attachments)] : []));
        this.foot.replaceChildren(...this.#state(message), ...(message.id && !this.isUnfinished ? this.#actions(message) : []));
        await drawn;
    }

    /** Shows what has come of a reply so far. */
    async grow(text) {
        this.element.classList.toggle('is-waiting', !text);
        this.foot.replaceChildren();
        await this.#showText(text);
    }

    #showText(text) {
        this.shown = text;
        return renderMarkdown(text, this.body);
    }

    #state({ role, status, error, finish_reason }) {
        if (status === 'done' && finish_reason === 'max_tokens') return [h('span', { class: 'state' }, 'The reply reached its length limit.')];
        if (status === 'done' && finish_reason === 'other') return [h('span', { class: 'state' }, 'The reply was cut off.')];
        if (status === 'sending') return [h('span', { class: 'state' }, 'Sending…')];
        if (status === 'cancelled') return [h('span', { class: 'state' }, 'Stopped')];
        if (status === 'failed') return [h('span', { class: 'state is-bad' }, icon('alert'), error?.detail ?? 'No reply came.')];
        if (status === 'queued' && role === 'model') return [h('span', { class: 'state' }, 'Waiting for the reply…')];
        return [];
    }

    #actions(message) {
        const { role, model, usage, siblings, completed_at } = message;
        const about = role === 'model' && model && [modelName(model), usage && `${usage.total_tokens} tokens`].filter(Boolean).join(' · ');
        return [
            isCutOff(message) && h('button', { type: 'button', class: 'quiet', onclick: () => this.on.continue(this) }, 'Continue'),
            siblings && this.#siblings(siblings),
            message.content && iconButton('copy', 'Copy', ({ currentTarget }) => this.#copy(currentTarget)),
            role === 'user' && iconButton('pencil', 'Edit', () => this.#edit()),
            role === 'model' && iconButton('again', 'Ask again', () => this.on.regenerate(this)),
            about && h('span', { class: 'about', title: completed_at && said(completed_at) }, about),
        ].filter(Boolean);
    }

    #siblings({ count, number, ids }) {
        const step = (name, label, to) => iconButton(name, label, () => this.on.choose(ids[to]), { disabled: !(to in ids) });
        return h('span', { class: 'siblings', role: 'group', 'aria-label': 'Versions' },
            step('left', 'Version before', number - 2), h('span', {}, `${number} / ${count}`), step('right', 'Version after', number));
    }

    async #copy(button) {
        try {
            await navigator.clipboard.writeText(this.message.content);
            button.replaceChildren(icon('check'));
            announce('Copied.');
        } catch {
            announce('The browser does not let this be copied.');
        }
        setTimeout(() => button.replaceChildren(icon('copy')), 2_000);
    }

    #edit() {
        const done = () => { this.update(this.message); this.element.querySelector('[aria-label=Edit]')?.focus(); };
        const field = h('textarea', { 'aria-label': 'Your message', maxlength: 32_000, rows: Math.min(12, this.message.content.split('\n').length + 1) });
        field.value = this.message.content;
        const all = this.message.attachments ?? [];
        const kept = new Set(all);
        const files = all.map((file) => {
            const item = h('li', {}, icon('file'), h('span', {}, file.name || 'File'),
                iconButton('close', `Remove ${file.name || 'file'}`, () => { kept.delete(file); item.remove(); field.focus(); }));
            return item;
        });
        const submit = (event) => {
            event.preventDefault();
            const content = field.value.trim();
            if (content && (content !== this.message.content || kept.size < all.length)) this.on.edit(this, content, [...kept].map(({ id }) => id));
            else done();
        };
        this.body.replaceChildren(h('form', {
            class: 'edit', onsubmit: submit,
            onkeydown: (event) => {
                if (event.key === 'Escape') done();
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event);
            },
        }, field, files.length > 0 && h('ul', { class: 'attachments', 'aria-label': 'Attachments' }, files), h('div', { class: 'actions' }, h('button', { type: 'button', class: 'quiet', onclick: done }, 'Cancel'), h('button', { class: 'primary' }, 'Ask this instead'))));
        this.foot.replaceChildren();
        field.focus();
    }
}

/** Whether a reply ended before its end, but not because of what it said: then the rest can be had. */
function isCutOff({ role, content, status, finish_reason }) {
    if (role !== 'model' || !content) return false;
    if (status === 'done') return ['max_tokens', 'other'].includes(finish_reason);
    return status === 'cancelled' || status === 'failed' && !['safety', 'recitation'].includes(finish_reason);
}
