import Common

/// What is looked at of an event. Which customer it is about, that is all: what has happened Stripe is asked itself.
struct Event: Decodable {
    let id: String
    let object: String
    let type: String
    let apiVersion: String?
    let created: UnixTime
    let livemode: Bool
    let data: Payload

    enum CodingKeys: String, CodingKey {
        case id, object, type, created, livemode, data
        case apiVersion = "api_version"
    }

    struct Payload: Decodable { let object: Object }

    /// A customer, or something that names one, by its id or whole.
    struct Object: Decodable {
        let customer: String?

        enum CodingKeys: String, CodingKey { case id, object, customer }

        init(from decoder: any Decoder) throws {
            let object = try decoder.container(keyedBy: CodingKeys.self)
            if try object.decodeIfPresent(String.self, forKey: .object) == "customer" {
                customer = try object.decode(String.self, forKey: .id)
            } else if let id = try? object.decodeIfPresent(String.self, forKey: .customer) {
                customer = id
            } else {
                customer = try? object.nestedContainer(keyedBy: CodingKeys.self, forKey: .customer)
                    .decode(String.self, forKey: .id)
            }
        }
    }
}
