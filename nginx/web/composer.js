import { $, h, iconButton } from './dom.js';
import { Attachments } from './attachments.js';
import { draft } from './outbox.js';

/** Where messages are written. `send(content, attachments)` is called with what was written; `stop()` ends the reply. */
export class Composer {
    constructor(room, { send, stop }) {
        this.room = room;
        this.send = send;
        this.attachments = new Attachments(() => this.#update());
        this.field = h('textarea', {
            rows: 1, 'aria-label': 'Message', placeholder: 'Write a message', maxlength: 32_000, enterkeyhint: 'send',
            oninput: () => { draft.set(this.room, this.field.value); this.#update(); },
            onkeydown: (event) => this.#key(event),
            onpaste: (event) => this.attachments.takeFrom(event.clipboardData, event),
        });
        this.field.value = draft.get(room);
        this.sendButton = iconButton('send', 'Send', () => this.#submit(), { class: 'icon-button send' });
        this.stopButton = iconButton('stop', 'Stop the reply', stop, { class: 'icon-button send stop', hidden: true });
        this.element = h('form', { class: 'composer', onsubmit: (event) => event.preventDefault() },
            this.attachments.list,
            h('div', { class: 'composer-line' }, this.attachments.button, this.field, this.stopButton, this.sendButton));
        this.#update();
    }

    set isReplying(isReplying) {
        this.replying = isReplying;
        this.#update();
    }

    /** Gives back what could not be sent. */
    restore(content, attachments = []) {
        this.attachments.restore(attachments);
        if (!this.field.value) this.field.value = content;
        draft.set(this.room, this.field.value);
        this.#update();
    }

    focus() { this.field.focus(); }

    #key(event) {
        // On a phone the Enter of the keyboard is a new line; the button sends.
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing || matchMedia('(pointer: coarse)').matches) return;
        event.preventDefault();
        this.#submit();
    }

    #submit() {
        const content = this.field.value.trim();
        if (!content || !this.attachments.areReady) return;
        const attachments = this.attachments.take();
        this.field.value = '';
        draft.set(this.room, '');
        this.#update();
        this.field.focus();
        this.send(content, attachments);
    }

    #update() {
        const isEmpty = !this.field.value.trim();
        this.sendButton.disabled = isEmpty || !this.attachments.areReady;
        this.stopButton.hidden = !this.replying;
        this.sendButton.hidden = this.replying && isEmpty;
        // It grows with its text, as far as the style sheet lets it.
        this.field.style.height = 'auto';
        this.field.style.height = `${this.field.scrollHeight}px`;
    }
}
