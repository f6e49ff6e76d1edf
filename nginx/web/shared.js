// The page of a shared chat. What opens it stands behind the # of the address, which a browser sends to nobody.

import { $, h, said } from './dom.js';
import { json, send } from './http.js';
import { renderMarkdown } from './markdown.js';

const main = $('#main');

async function show() {
    main.ariaBusy = 'true';
    try {
        const token = location.hash.slice(1);
        if (!/^[\w-]{43}$/.test(token)) throw new Error('This link is not whole.');
        const { title, messages, created_at, expires_at } = await json(await send('GET', `/shared/${token}`));
        document.title = title || 'A shared chat';
        const day = { dateStyle: 'long' };
        main.replaceChildren(
            h('header', {}, h('h1', {}, title || 'A shared chat'), h('p', { class: 'hint' }, `As it was on ${said(created_at, day)}. The link ends on ${said(expires_at, day)}.`)),
            h('ol', { class: 'messages' }, messages.map(message)));
    } catch (problem) {
        main.replaceChildren(h('h1', {}, 'Nothing to see here'), h('p', { class: 'hint', role: 'alert' }, problem.message));
    } finally {
        main.ariaBusy = null;
    }
}

function message({ role, content, created_at }) {
    const isReply = role === 'model';
    const body = h('div', { class: isReply ? 'body markdown' : 'body' });
    if (isReply) renderMarkdown(content, body);
    else body.append(h('p', {}, content));
    return h('li', { class: `message of-${role}` }, h('h2', { class: 'unseen' }, isReply ? 'Reply' : 'Question'), body, h('div', { class: 'message-foot' }, said(created_at)));
}

addEventListener('hashchange', show);
show();
