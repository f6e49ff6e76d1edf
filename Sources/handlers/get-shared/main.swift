import Common

serve { request in
    Query(Call("get_shared", Share.hash(of: request.path("SHARE_TOKEN")))) { (shared: JSONAnswer) in
        .json(shared, headers: [("Cache-Control", "no-store"), ("X-Robots-Tag", "noindex")])
    }
}
