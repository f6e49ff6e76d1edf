// What can be done with a room.

import { openForm, openMenu } from './dialogs.js';
import { field } from './forms.js';
import { notice, noticeProblem } from './notices.js';
import { restoreRoom, titleOf, trashRoom, updateRoom } from './rooms.js';
import { models } from './models.js';
import { shareRoom } from './share.js';

export function openRoomMenu(button, room) {
    const change = (changes, done) => updateRoom(room.id, changes).then(() => done && notice(done)).catch(noticeProblem);
    openMenu(button, [
        ['Rename', () => rename(room)],
        [room.pinned ? 'Unpin' : 'Pin', () => change({ pinned: !room.pinned })],
        ['Model and instruction', () => openRoomSettings(room)],
        ['Share', () => shareRoom(room)],
        [room.archived ? 'Take out of the archive' : 'Archive', () => change({ archived: !room.archived }, room.archived ? 'Taken out of the archive.' : 'Archived.')],
        ['Move to trash', () => trash(room), true],
    ]);
}

const rename = (room) => openForm('Rename the chat', {
    fields: [field({ name: 'title', label: 'Title', value: room.title ?? '', maxlength: 100, required: true })],
    submit: 'Rename', onsubmit: ({ title }) => updateRoom(room.id, { title }),
});

/** The model, the instruction that goes before all messages, and how long they are kept. */
export const openRoomSettings = (room) => openForm('Model and instruction', {
    fields: [
        field({ name: 'model', label: 'Model', options: models(room.model), value: room.model }),
        field({
            name: 'system_instruction', label: 'Instruction', rows: 5, maxlength: 8000, value: room.system_instruction ?? '',
            hint: 'Said to the model before everything else: who it is, how it answers.',
        }),
        field({
            name: 'retention_days', label: 'Keep messages for (days)', type: 'number', min: 1, max: 3650, value: room.retention_days ?? '',
            hint: 'Empty: as in your settings.',
        }),
    ],
    submit: 'Save',
    onsubmit: async ({ model, system_instruction, retention_days }) => {
        const days = retention_days ? Number(retention_days) : null;
        await updateRoom(room.id, {
            model, system_instruction: system_instruction.trim() || null,
            ...(days !== (room.retention_days ?? null) && { retention_days: days }),
        });
        notice('Saved. It holds from the next message on.');
    },
});

async function trash(room) {
    try {
        await trashRoom(room.id);
    } catch (problem) {
        return noticeProblem(problem);
    }
    if (location.hash.includes(room.id)) location.hash = '';
    notice(`“${titleOf(room)}” is in the trash.`, { label: 'Undo', run: () => restoreRoom(room.id).catch(noticeProblem) });
}
