import Common
import Foundation
import TestSupport
import Testing

/// What is told to Prometheus, as its own parser reads it.
@Suite(.threads)
struct MetricsTests {
    @Test
    func `Prometheus reads who is there, what waits and what was done`() throws {
        let backend = try Backend()
        let person = try backend.signIn()
        let room = try backend.room(person)
        let worker = try backend.worker()
        _ = try backend.reply(try backend.post("Hello", room, person), room, person)
        _ = try backend.call("list-chatrooms", token: person.token)
        worker.terminate()
        #expect(try worker.wait() == .code(0))
        try backend.database.connect().script("analyze")

        let answer = try backend.call("metrics")
        #expect(answer.status == 200)
        #expect(answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
        let samples = try Samples(answer)
        #expect(samples["chat_users{tier=basic}"] == 1)
        #expect(samples["chat_users{tier=pro}"] == 0)
        #expect(samples["chat_sessions_live"] == 1)
        #expect(samples["chat_replies_total{outcome=done}"] == 1)
        #expect(samples["chat_replies_total{outcome=failed}"] == 0)
        #expect(samples["chat_jobs{kind=reply,state=ready}"] == 0)
        #expect(samples["chat_workers"] == 1)
        #expect(try #require(samples["chat_worker_seen_seconds"]) < 60)
        #expect(samples["chat_table_rows{table=cache}"] == 1)
        #expect(samples["chat_table_rows{table=messages}"] == 2)
        #expect(try #require(samples["chat_table_bytes{table=messages}"]) >= 8192)
        #expect(try #require(samples["chat_database_bytes"]) > 1_000_000)
        #expect(try #require(samples["chat_database_connections"]) >= 1)
        // What there is nothing to tell of is left out.
        #expect(samples["chat_otp_budget"] == nil)
        #expect(samples.values.keys.allSatisfy { !$0.hasPrefix("chat_oldest_ready_job_seconds") })
    }

    @Test
    func `Only a caller on this host is told, and no proxy`() throws {
        let backend = try Backend()
        func call(from address: String, _ headers: [String: String] = [:]) throws -> Answer {
            var parameters = Backend.parameters(headers: headers)
            parameters["REMOTE_ADDR"] = address
            let connection = try FastCGI(backend.endpoint("metrics").listener.path)
            connection.sendRequest(parameters)
            return try connection.answer()
        }
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            #expect(try call(from: address).status == 200, "\(address)")
        }
        for address in ["10.0.0.1", "192.168.127.1", "::ffff:10.0.0.1", "2001:db8::1", "unix:", ""] {
            expectProblem(try call(from: address), 404, "not_found", "\(address)")
        }
        for header in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"] {
            expectProblem(try call(from: "127.0.0.1", [header: "x"]), 404, "not_found", "\(header)")
        }
    }

    @Test
    func `Every job is counted under its kind and state, and the oldest that may begin has its age`() throws {
        let backend = try Backend()
        try backend.database.connect().execute(
            """
            insert into jobs (user_id, lane, id, kind, state, run_at)
            select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), k, s, now() - make_interval(mins => n)
            from unnest(enum_range(null::job_kind)) k, unnest(enum_range(null::job_state)) s, generate_series(1, 3) n
            """)
        let samples = try Samples(try backend.call("metrics"))
        let counts = samples.values.filter { $0.key.hasPrefix("chat_jobs{") }
        let kinds = try backend.database.connect().rows(String.self, "select unnest(enum_range(null::job_kind))::text")
        #expect(counts.count == 3 * kinds.count)
        #expect(counts.values.allSatisfy { $0 == 3 }, "\(counts)")
        for kind in kinds {
            let age = try #require(samples["chat_oldest_ready_job_seconds{kind=\(kind)}"], "\(kind)")
            #expect((180..<240).contains(age), "\(kind)")
        }
    }

    @Test
    func `Of a long queue no more is read than is counted`() throws {
        let backend = try Backend()
        try backend.database.connect().execute(
            """
            insert into jobs (user_id, lane, id, kind)
            select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'reply' from generate_series(1, 30000)
            """)
        #expect(try Samples(try backend.call("metrics"))["chat_jobs{kind=reply,state=ready}"] == 10_000)
        let database = backend.database.connect()
        var read = 0
        try eventually("Postgres's figures") {
            read =
                try database.row(Int.self, "select idx_tup_fetch from pg_stat_user_tables where relname = 'jobs'") ?? 0
            return read >= 10_000
        }
        #expect(read <= 2 * 10_000)
    }

    @Test
    func `The day's codes stand beside their budget`() throws {
        let backend = try Backend(["OTP_PER_DAY": "3"])
        #expect(try Samples(try backend.call("metrics"))["chat_otp_sent_today"] == 0)
        _ = try backend.signIn()
        let samples = try Samples(try backend.call("metrics"))
        #expect(samples["chat_otp_sent_today"] == 1)
        #expect(samples["chat_otp_budget"] == 3)
    }

    @Test
    func `Replies of workers that are forgotten stay counted, failed ones beside those that are done`() throws {
        let backend = try Backend()
        let database = backend.database.connect()
        try database.execute(
            """
            insert into workers (id, host, pid, seen_at, replies_done, replies_failed)
            select gen_random_uuid(), 'h', 1, now() - interval '23 hours' * n, 10 * n, n from generate_series(0, 2) n
            """)
        for workers in [3, 2] {
            let samples = try Samples(try backend.call("metrics"))
            #expect(samples["chat_replies_total{outcome=done}"] == 30)
            #expect(samples["chat_replies_total{outcome=failed}"] == 3)
            #expect(try database.row(Int.self, "select count(*) from workers") == workers)
            // What is over is purged when a worker starts; it adds its own row.
            #expect(try backend.worker(seconds: 0).wait() == .code(0))
            try database.execute("delete from workers where pid <> 1")
        }
    }

    @Test
    func `Names keep their quotes and line ends`() throws {
        let backend = try Backend()
        let name = "a\"b\\c\nd}\\n"
        let database = backend.database.connect()
        try database.execute("insert into model_times (model, milliseconds) values (\(name), 1500)")
        try database.execute(
            """
            insert into upstream_holds (key, model, until, reason)
            values ('k', \(name), now() + interval '1 minute', 'quota'), ('l', \(name), now() - interval '1 s', 'quota')
            """)
        let samples = try Samples(try backend.call("metrics"))
        #expect(samples["chat_model_reply_seconds{model=\(name)}"] == 1.5)
        #expect(samples["chat_gemini_keys_held{model=\(name),reason=quota}"] == 1)
    }

    @Test
    func `Of many accounts a part is read, and comes close`() throws {
        let backend = try Backend()
        let database = backend.database.connect()
        try database.script(
            """
            insert into users (mobile, username)
            select '+' || 1000000 + n, repeat('x', 80) from generate_series(1, 150000) n
            """)
        let pages = try #require(
            try database.row(Int.self, "select pg_relation_size('users') / current_setting('block_size')::int"))
        #expect(pages > 2_500)
        let samples = try Samples(try backend.call("metrics"))
        let users = ["basic", "pro"].compactMap { samples["chat_users{tier=\($0)}"] }.reduce(0, +)
        #expect((140_000..<160_000).contains(users), "\(users)")
    }
}

/// The samples of an answer: `name{label=value}`, as prometheus-client reads them.
private struct Samples {
    let values: [String: Double]
    subscript(name: String) -> Double? { values[name] }

    init(_ answer: Answer) throws {
        let script = """
            import json, sys
            from prometheus_client.parser import text_string_to_metric_families
            values = {}
            for family in text_string_to_metric_families(sys.argv[1]):
                assert family.documentation and family.type in ("counter", "gauge"), family
                for sample in family.samples:
                    labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
                    name = sample.name + ("{" + labels + "}" if labels else "")
                    assert name not in values, name
                    values[name] = sample.value
            json.dump(values, sys.stdout)
            """
        let run = try Python.run(["-c", script, answer.text])
        guard run.exit == .code(0), case .object(let members)? = JSONValue(Array(run.output.utf8)) else {
            throw Executable.Failure("\(run.error) \(answer.text)")
        }
        values = members.compactMapValues(\.number)
    }
}
