import Common

// The rest of a reply that was cut off, joined to what there is of it: a variant beside that one, so that the room shows one whole
// answer to the question, and the cut one is kept.
serve { request, database in try ReplyVariant.continue.answer(request, from: database) }
