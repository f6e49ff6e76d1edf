import Common

serve { request, database in try ReplyVariant.regenerate.answer(request, from: database) }
