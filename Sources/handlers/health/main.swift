import Common

serve { _, _ in try .json(["status": "ok"]) }
