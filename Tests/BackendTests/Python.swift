import Foundation
import TestSupport

/// Programs in Python, with the packages that bin/test installs.
enum Python {
    static func run(_ arguments: [String], seconds: Double = 900) throws -> (
        exit: Executable.Exit, output: String, error: String
    ) {
        let python = "\(projectFolder)/.local/test-venv/bin/python"
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw Executable.Failure("\(python) is missing: bin/test makes it")
        }
        let folder = try Folder()
        let process = try Executable(python, arguments, folder: folder.path)
        let exit = try process.wait(seconds: seconds)
        return (exit, process.output, process.error)
    }
}
