// Pictures and PDFs that go along with a message.

import { isMissing, request } from './api.js';
import { h, icon, iconButton } from './dom.js';
import { json, newKey } from './http.js';
import { notice, noticeProblem } from './notices.js';

const types = ['image/png', 'image/jpeg', 'image/webp', 'image/heic', 'image/heif', 'application/pdf'];

/** Whether the server may take it. Of HEIC pictures many systems do not know what they are. */
const mayBeTaken = ({ type, name }) => types.includes(type) || type === '' && /\.(hei[cf]|pdf)$/i.test(name);

/** Those of a message that is being written: sent to the server at once, chosen by the button, pasted or dropped. */
export class Attachments {
    #all = [];
    #onchange;

    constructor(onchange) {
        this.#onchange = onchange;
        const input = h('input', { type: 'file', accept: [...types, '.heic', '.heif'].join(','), multiple: true, hidden: true, onchange: () => { this.add(input.files); input.value = ''; } });
        this.button = h('span', {}, input, iconButton('clip', 'Attach pictures or PDFs', () => input.click()));
        this.list = h('ul', { class: 'attachments', 'aria-label': 'Attachments', hidden: true });
    }

    get areReady() { return this.#all.every(({ id }) => id); }

    /** Hands over those that are there, and begins anew. */
    take() {
        const taken = this.#all.map(({ id, media_type, bytes, name }) => ({ id, media_type, bytes, name }));
        this.#all = [];
        this.#changed();
        return taken;
    }

    /** Has those again that were handed over. */
    restore(attachments) {
        for (const attachment of attachments) this.#all.push({ ...attachment, item: this.#item(attachment) });
        this.#changed();
    }

    /** Files that come with a paste or a drop; then nothing else of it is wanted. */
    takeFrom(data, event) {
        const files = [...data.files];
        if (!files.length) return;
        event.preventDefault();
        this.add(files);
    }

    add(files) {
        for (const file of files) {
            if (mayBeTaken(file)) this.#send(file);
            else notice(`${file.name} is no PNG, JPEG, WebP, HEIC or PDF.`);
        }
    }

    async #send(file) {
        const attachment = { name: file.name, media_type: file.type };
        attachment.item = this.#item(attachment, file.type.startsWith('image/') ? picture(URL.createObjectURL(file), '') : icon('file'));
        attachment.item.ariaBusy = 'true';
        this.#all.push(attachment);
        this.#changed();
        try {
            const answer = await json(await request('POST', `/attachment?name=${encodeURIComponent(file.name)}`,
                // What it is, its bytes say: a browser goes by the end of its name, which may be wrong.
                { body: file, headers: { 'Content-Type': 'application/octet-stream' }, key: newKey(), patience: 120_000 }));
            Object.assign(attachment, answer);
            attachment.item.ariaBusy = 'false';
        } catch (problem) {
            this.#all = this.#all.filter((other) => other !== attachment);
            if (isMissing(problem)) notice('Files are not taken here.');
            else noticeProblem(problem);
        }
        this.#changed();
    }

    #item(attachment, drawing = icon('file')) {
        const item = h('li', {}, drawing, h('span', {}, attachment.name), iconButton('close', `Remove ${attachment.name}`, () => this.#remove(item)));
        return item;
    }

    #remove(item) {
        const attachment = this.#all.find((other) => other.item === item);
        this.#all = this.#all.filter((other) => other !== attachment);
        this.#changed();
        // Whether it works is of no account: what no message has is removed by the server in time.
        if (attachment.id) request('DELETE', `/attachment/${attachment.id}`).catch(() => {});
    }

    #changed() {
        this.list.replaceChildren(...this.#all.map(({ item }) => item));
        this.list.hidden = !this.#all.length;
        this.#onchange();
    }
}

/** A picture that lets go of its memory once it is drawn. */
const picture = (src, alt) => h('img', { src, alt, onload: ({ target }) => URL.revokeObjectURL(target.src) });

/** The attachments of a message that was sent, as a list. */
export function attachmentList(attachments) {
    return h('ul', { class: 'attachments', 'aria-label': 'Attachments' }, attachments.map(({ id, media_type, name }) => {
        const label = name || (media_type === 'application/pdf' ? 'PDF' : 'Picture');
        const open = h('button', { type: 'button', class: 'quiet', onclick: () => download(id, label) }, icon('file'), h('span', {}, label));
        if (media_type.startsWith('image/')) blobOf(id).then((blob) => open.firstChild.replaceWith(picture(URL.createObjectURL(blob), '')), () => {});
        return h('li', {}, open);
    }));
}

const blobOf = async (id) => (await request('GET', `/attachment/${id}`, { patience: 120_000 })).blob();

async function download(id, name) {
    try {
        save(await blobOf(id), name);
    } catch (problem) {
        noticeProblem(problem);
    }
}

/** Has the browser keep a blob as a file. */
export function save(blob, name) {
    const link = h('a', { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
