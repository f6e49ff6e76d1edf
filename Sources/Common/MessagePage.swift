/// A page of the messages on the branch that a chatroom shows, the newest first: what the functions `list_messages` and `get_chatroom`
/// give.
public struct MessagePage {
    /// The members `messages` and `next_cursor` of an answer.
    public let members: String

    /// - Parameter page: of the list `MessagePage.list`.
    public init(_ page: Page, _ rows: [Page.Row]) {
        members = page.members("messages", rows.map(\.entry)) { [rows[$0].place] }
    }

    /// The page that a request asks for.
    public static func asked(_ request: Request, of room: ID, caller: Caller) throws -> Page {
        try Page(request, of: "messages \(room)", caller: caller, keys: 1)
    }
}
