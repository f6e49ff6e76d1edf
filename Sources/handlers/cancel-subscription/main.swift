import Upstream

serveChange(
    toEnd: true, begin: "cancel_subscription", asking: "cancel_subscription_asks", end: "cancel_subscription_end",
    forgetting: "cancel_subscription_forget")
