import SandboxHTTP

/// The calls of the API that a client of ours needs.
struct API {
    let price: String

    /// The status is 200 for whatever is done.
    func answer(_ request: HTTPRequest, _ version: APIVersion, _ books: inout Books) throws -> Value {
        let parts = request.path.split(separator: "/").map(String.init)
        switch (request.method, parts.count, parts.dropFirst().joined(separator: "/")) {
        case ("POST", 2, "customers"): return try makeCustomer(request, &books)
        case ("GET", 2, "customers"): return try listCustomers(request, books)
        case ("GET", 2, "prices"):
            return try Form(request, takes: ["limit", "starting_after", "active", "product"])
                .page([price], url: request.path, id: { $0 }, json: priceJSON)
        case ("GET", 3, "prices/\(price)"): return priceJSON(price)
        case ("POST", 3, "checkout/sessions"): return try makeSession(request, &books)
        case ("GET", 3, "checkout/sessions"):
            let form = try Form(request, takes: ["customer", "status", "limit", "starting_after"])
            let all = books.sessions.filter {
                (form["customer"] ?? $0.customer, form["status"] ?? $0.status) == ($0.customer, $0.status)
            }
            return try form.page(all, url: request.path, id: \.id, json: \.json)
        case ("POST", 3, "billing_portal/sessions"): return try makePortal(request, &books)
        case ("GET", 2, "subscriptions"): return try listSubscriptions(request, version, books)
        case ("POST", 2, "subscriptions"): return try makeSubscription(request, version, &books)
        case ("GET", 2, "invoices"):
            let form = try Form(request, takes: ["customer", "subscription", "status", "limit", "starting_after"])
            if let customer = form["customer"] {
                _ = try books.customer(customer, param: "customer", evenDeleted: true)
            }
            let all = books.invoices.filter { invoice in
                form["customer"] ?? invoice.customer == invoice.customer
                    && form["subscription"] ?? invoice.subscription == invoice.subscription
            }
            return try form.page(all, url: request.path, id: \.id) { $0.json(version, url: books.url) }
        default: break
        }
        switch (request.method, parts.count, parts.count > 1 ? parts[1] : "") {
        case ("GET", 3, "customers"): return books.customers[try books.customer(parts[2], evenDeleted: true)].json
        case ("POST", 3, "customers"): return try changeCustomer(parts[2], request, &books)
        case ("DELETE", 3, "customers"):
            let index = try books.customer(parts[2])
            books.delete(index)
            return books.customers[index].json
        case ("GET", 4, "checkout"): return books.sessions[try books.session(parts[3])].json
        case ("POST", 5, "checkout") where parts[4] == "expire":
            let index = try books.session(parts[3])
            guard books.sessions[index].status == "open" else {
                throw StripeFault.invalid("Only Checkout Sessions with a status in [\"open\"] can be expired.")
            }
            books.expire(index)
            return books.sessions[index].json
        case ("GET", 3, "subscriptions"):
            let form = try Form(request, takes: [])
            let subscription = books.subscriptions[try books.subscription(parts[2])]
            return books.json(subscription, version, expanded: form.expands("latest_invoice"))
        case ("POST", 4, "subscriptions") where parts[3] == "resume":
            let index = try books.subscription(parts[2])
            _ = try Form(request, takes: ["billing_cycle_anchor", "proration_behavior", "proration_date"])
            guard books.subscriptions[index].status == "paused" else {
                throw StripeFault.invalid("You can only resume a subscription whose status is paused.")
            }
            books.resume(index)
            return books.json(books.subscriptions[index], version)
        case ("POST", 3, "subscriptions"): return try changeSubscription(parts[2], request, version, &books)
        case ("DELETE", 3, "subscriptions"):
            let index = try books.subscription(parts[2])
            if books.subscriptions[index].isOver { throw StripeFault.missing("subscription", parts[2]) }
            books.end(index, at: books.now)
            return books.json(books.subscriptions[index], version)
        default:
            throw StripeFault(
                status: 404, type: "invalid_request_error",
                message: "Unrecognized request URL (\(request.method): \(request.path)).")
        }
    }

    private func priceJSON(_ id: String) -> Value {
        [
            "id": .string(id), "object": "price", "active": true, "currency": "usd", "type": "recurring",
            "unit_amount": .number(Subscription.amount), "product": "prod_sandbox_pro", "livemode": false,
            "recurring": ["interval": "month", "interval_count": 1],
        ]
    }

    // MARK: Customers

    private func makeCustomer(_ request: HTTPRequest, _ books: inout Books) throws -> Value {
        let form = try Form(request, takes: ["email", "name", "phone", "description", "metadata"])
        let customer = Customer(
            id: Books.id("cus"), created: books.now, email: form["email"], name: form["name"],
            metadata: form.members("metadata"))
        books.customers.append(customer)
        books.tell("customer.created") { _ in customer.json }
        return customer.json
    }

    private func listCustomers(_ request: HTTPRequest, _ books: Books) throws -> Value {
        let form = try Form(request, takes: ["email", "limit", "starting_after"])
        let all = books.customers.filter { !$0.isDeleted && (form["email"] == nil || $0.email == form["email"]) }
        return try form.page(all, url: request.path, id: \.id, json: \.json)
    }

    private func changeCustomer(_ id: String, _ request: HTTPRequest, _ books: inout Books) throws -> Value {
        let form = try Form(request, takes: ["email", "name", "phone", "description", "metadata"])
        let index = try books.customer(id)
        if form.has("email") { books.customers[index].email = form["email"] }
        if form.has("name") { books.customers[index].name = form["name"] }
        for (name, value) in form.members("metadata") {
            books.customers[index].metadata[name] = value.isEmpty ? nil : value
        }
        let customer = books.customers[index]
        books.tell("customer.updated") { _ in customer.json }
        return customer.json
    }

    // MARK: Pages

    private func makeSession(_ request: HTTPRequest, _ books: inout Books) throws -> Value {
        let form = try Form(
            request,
            takes: [
                "mode", "customer", "line_items", "client_reference_id", "metadata", "subscription_data", "success_url",
                "cancel_url", "allow_promotion_codes", "expires_at",
            ])
        guard try form.required("mode") == "subscription" else {
            throw StripeFault.invalid("The sandbox sells subscriptions alone.", param: "mode")
        }
        let customer = try form.required("customer")
        _ = try books.customer(customer, param: "customer")
        let priced = try form.required("line_items[0][price]")
        guard priced == price else { throw StripeFault.missing("price", priced, param: "line_items[0][price]") }
        _ = try form.required("line_items[0][quantity]")
        let reference = form["client_reference_id"]
        guard reference?.count ?? 0 <= 200 else {
            throw StripeFault.invalid("Invalid string: at most 200 characters", param: "client_reference_id")
        }
        let (id, now) = (Books.id("cs_test"), books.now)
        let expiry = try form.number("expires_at") ?? now + 86_400
        guard (now + 1_800...now + 86_400).contains(expiry) else {
            throw StripeFault.invalid("The expires_at must be 30 minutes to 24 hours from now.", param: "expires_at")
        }
        let session = Session(
            id: id, customer: customer, price: priced, created: now, expiresAt: expiry, clientReference: reference,
            metadata: form.members("metadata"), subscriptionMetadata: form.members("subscription_data[metadata]"),
            successURL: try form.required("success_url"), cancelURL: form["cancel_url"],
            url: "\(books.url)/c/pay/\(id)")
        books.sessions.append(session)
        return session.json
    }

    private func makePortal(_ request: HTTPRequest, _ books: inout Books) throws -> Value {
        let form = try Form(request, takes: ["customer", "return_url", "flow_data", "configuration", "locale"])
        let customer = try form.required("customer")
        _ = try books.customer(customer, param: "customer")
        let (id, back) = (Books.id("bps"), form["return_url"] ?? books.url)
        books.portals[id] = Books.Portal(customer: customer, returnURL: back)
        return [
            "id": .string(id), "object": "billing_portal.session", "customer": .string(customer), "livemode": false,
            "created": .number(books.now), "return_url": .string(back), "url": .string("\(books.url)/p/session/\(id)"),
        ]
    }

    // MARK: Subscriptions

    private func listSubscriptions(_ request: HTTPRequest, _ version: APIVersion, _ books: Books) throws -> Value {
        let form = try Form(request, takes: ["customer", "status", "price", "limit", "starting_after"])
        if let customer = form["customer"] {
            _ = try books.customer(customer, param: "customer", evenDeleted: true)
        }
        let all = books.subscriptions.filter { subscription in
            form["customer"] ?? subscription.customer == subscription.customer
                && (form["status"] == "all"
                    || form["status"] ?? subscription.status == subscription.status
                        && (form["status"] != nil || !subscription.isOver))
        }
        return try form.page(all, url: request.path, id: \.id) {
            books.json($0, version, expanded: form.expands("data.latest_invoice"))
        }
    }

    private func makeSubscription(
        _ request: HTTPRequest, _ version: APIVersion, _ books: inout Books
    ) throws -> Value {
        let form = try Form(request, takes: ["customer", "items", "metadata"])
        let customer = try form.required("customer")
        _ = try books.customer(customer, param: "customer")
        let priced = try form.required("items[0][price]")
        guard priced == price else { throw StripeFault.missing("price", priced, param: "items[0][price]") }
        return books.json(books.subscribe(customer, price: priced, metadata: form.members("metadata")), version)
    }

    private func changeSubscription(
        _ id: String, _ request: HTTPRequest, _ version: APIVersion, _ books: inout Books
    ) throws -> Value {
        let form = try Form(request, takes: ["cancel_at_period_end", "cancel_at", "metadata", "pause_collection"])
        let index = try books.subscription(id)
        if books.subscriptions[index].isOver {
            throw StripeFault.invalid("A canceled subscription can only update its cancellation_details and metadata.")
        }
        if form.has("cancel_at"), form.has("cancel_at_period_end") {
            throw StripeFault.invalid("You cannot set both cancel_at and cancel_at_period_end.", param: "cancel_at")
        }
        if let ends = try form.flag("cancel_at_period_end") {
            books.subscriptions[index].cancelsAtPeriodEnd = ends
            books.subscriptions[index].cancelAt = ends ? books.subscriptions[index].periodEnd : nil
        }
        if form.has("cancel_at") {
            books.subscriptions[index].cancelAt = try form.number("cancel_at")
            books.subscriptions[index].cancelsAtPeriodEnd = false
        }
        if form.has("pause_collection") { books.subscriptions[index].pause = nil }
        if let behavior = form["pause_collection[behavior]"] {
            guard Subscription.Pause.behaviors.contains(behavior) else {
                throw StripeFault.invalid("Invalid pause_collection[behavior]", param: "pause_collection[behavior]")
            }
            books.subscriptions[index].pause = Subscription.Pause(
                behavior: behavior, resumesAt: try form.number("pause_collection[resumes_at]"))
        }
        for (name, value) in form.members("metadata") {
            books.subscriptions[index].metadata[name] = value.isEmpty ? nil : value
        }
        books.changed(index)
        return books.json(books.subscriptions[index], version)
    }
}
