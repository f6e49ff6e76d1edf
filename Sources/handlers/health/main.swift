import Common

serve { _, _ in .json("{\"status\":\"ok\"}") }
