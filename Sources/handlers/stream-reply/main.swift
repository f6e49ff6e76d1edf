import Common

// The token has to be good when a stream begins; then it goes on for as long as the session lives, beyond the token's end.
StreamServer().run()
