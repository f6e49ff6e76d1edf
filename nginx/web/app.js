// Where it begins: shows the way in or the chat, and what the address asks for (#/room/ID, #/archive, #/trash, #/settings/PART).

import { $ } from './dom.js';
import { showChat } from './chat.js';
import { showSignIn } from './signin.js';
import { sessions, user } from './session.js';

let leave = null;

function start(reason) {
    leave?.();
    leave = null;
    for (const dialog of document.querySelectorAll('dialog')) dialog.close();
    if (user()) leave = showChat($('#root'));
    else showSignIn($('#root'), reason);
}

// Who comes back from Stripe (?subscription=paid, cancelled, changed) wants to see the plan.
const came = new URLSearchParams(location.search).get('subscription');
if (came) history.replaceState(null, '', `/#/settings/plan/${encodeURIComponent(came)}`);

sessions.addEventListener('began', () => start());
sessions.addEventListener('ended', ({ detail }) => {
    // What was being written is of whoever has left.
    for (const key of Object.keys(localStorage)) if (key !== 'theme') localStorage.removeItem(key);
    history.replaceState(null, '', '/');
    start(detail);
});
// The address says what is shown, so a link can't also lead within it.
$('.skip').addEventListener('click', (event) => {
    event.preventDefault();
    $('#main').focus();
});
start();
