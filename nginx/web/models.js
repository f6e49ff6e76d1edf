// Which models a room may have. The API has no list of them; those that were met are remembered beside the usual ones.

const usual = [['gemini-3.8-flash', 'Gemini 3.8 Flash'], ['gemini-3.5-flash-lite', 'Gemini 3.5 Flash-Lite']];

/** Choices for a field, in which `current` is. */
export function models(current) {
    return usual.some(([name]) => name === current) ? usual : [...usual, [current, modelName(current)]];
}

/** `gemini-3.8-flash` as people say it. */
export const modelName = (name) => usual.find(([known]) => known === name)?.[1]
    ?? name.split('-').map((word) => word[0].toUpperCase() + word.slice(1)).join(' ');
