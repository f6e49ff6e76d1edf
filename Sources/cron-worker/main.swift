import ArgumentParser
import Common
import EndpointFunctions

/// The command line; everything else is set in the environment.
struct CronWorker: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cron-worker",
        abstract: "Makes the replies that are queued. Started by cron every minute; several at once are harmless.")

    @Flag(help: "Bring the database's schema up to date, and end.")
    var migrate = false

    @Flag(help: "Print the value of TOKEN_KEYS for each program that needs keys, derived from the root keys, and end.")
    var keys = false

    @Flag(help: "With --keys: let endpoints verify older access tokens of HS256 too. They get the root secrets for it.")
    var oldTokens = false

    @Option(help: "Give Pro to the account with this number, and end.", transform: Grant.mobile)
    var grantPro: WrittenMobile?

    @Option(help: "The day on which it ends, as in 2027-01-31 (UTC); never, unless given.")
    var until: String?

    @Option(help: "Take back what was given to the account with this number, and end.", transform: Grant.mobile)
    var revokePro: WrittenMobile?

    @Option(help: "Seconds after which no more is begun; what is under way is finished.")
    var seconds = 62

    func validate() throws {
        if until != nil, grantPro == nil { throw ValidationError("--until belongs to --grant-pro.") }
        if oldTokens, !keys { throw ValidationError("--old-tokens belongs to --keys.") }
    }

    func run() throws {
        Hardening.apply()
        do {
            if let grantPro {
                let database = Database()
                print(try Grant.give(to: grantPro.stored(in: database), until: until, database))
            } else if let revokePro {
                let database = Database()
                print(try Grant.takeBack(from: revokePro.stored(in: database), database))
            } else if keys {
                print(ProgramKeys.lines(oldTokens: oldTokens).joined(separator: "\n"))
            } else if migrate {
                let database = Database(timeout: 600_000)
                let applied =
                    try Migrations.apply(to: database)
                    + Functions.apply(endpointFunctions, to: database).map { "\($0).sql" }
                print(applied.isEmpty ? "schema is up to date" : "applied \(applied.joined(separator: ", "))")
                for remark in try Roles.remarks(in: database) { Log.notice(remark) }
            } else {
                try Worker().run(seconds: seconds)
            }
        } catch let error as ValidationError {
            throw error
        } catch let problem as Problem {
            throw ValidationError(problem.detail)
        } catch {
            Log.error("cron-worker failed", ["reason": "\(error)"])
            throw ExitCode.failure
        }
    }
}

CronWorker.main()
