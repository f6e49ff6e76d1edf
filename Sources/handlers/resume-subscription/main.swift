import Upstream

serveChange(
    toEnd: false, begin: "resume_subscription", asking: "resume_subscription_asks", end: "resume_subscription_end",
    forgetting: "resume_subscription_forget")
