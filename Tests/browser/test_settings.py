import json
from datetime import UTC, datetime

import pytest
from playwright.sync_api import TimeoutError, expect
from serving import needs


def section(person, title):
    return person.page.locator("section").filter(has=person.page.get_by_role("heading", name=title, exact=True))


def comes_back(person, text):
    """Looks at the plan until Stripe's event has come."""
    person.opens("/#/settings/plan")
    for _ in range(60):
        person.page.reload()
        try:
            person.page.get_by_text(text).first.wait_for(timeout=1_000)
            return
        except TimeoutError:
            continue
    person.sees(text)


def test_name_time_zone_and_time_to_keep_messages_are_set(person):
    person.opens("/#/settings/account")
    person.fills("Name", "Asha Rao")
    person.page.get_by_label("Time zone").select_option("Europe/Lisbon")
    person.fills("Keep messages for (days)", "90")
    person.looks("settings-account")
    person.presses("Save")
    person.sees("Saved.")
    person.opens_sidebar()
    person.sees("Asha Rao", within=person.page.locator(".account"))
    user = person.site.call("GET", "/user/me", token=person.token)["user"]
    assert (user["timezone"], user["retention_days"]) == ("Europe/Lisbon", 90)


@pytest.mark.parametrize("device", ["desktop"])
def test_the_appearance_is_chosen_and_stays(person):
    person.opens("/#/settings/account")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = person.page.evaluate(background)
    person.page.get_by_role("radio", name="Dark").check()
    dark = person.page.evaluate(background)
    assert dark != light
    person.page.reload()
    person.page.get_by_role("radio", name="Dark").wait_for()
    assert person.page.evaluate(background) == dark
    person.page.emulate_media(color_scheme="dark")
    person.page.get_by_role("radio", name="Light").check()
    assert person.page.evaluate(background) == light


@needs("get-usage", "subscription-status", "list-invoices")
def test_what_was_used_today_is_shown(person):
    noon = f"Etc/GMT{datetime.now(UTC).hour - 12:+}"  # where it is, so that the day does not end meanwhile
    person.site.call("PATCH", "/user/me", {"timezone": noon}, person.token)
    person.asks("Count me")
    person.opens("/#/settings/plan")
    today = section(person, "Today")
    person.sees("1 message, without a limit.", within=today)
    person.sees("Together", within=today)
    person.looks("settings-plan")


@needs("subscribe-pro", "subscription-portal", "resume-subscription", "refresh-subscription")
@pytest.mark.parametrize("device", ["desktop"])
def test_a_subscription_that_is_paused_says_what_to_do(person):
    person.opens("/#/settings/plan")
    person.presses("Upgrade to Pro")
    person.page.wait_for_url("**/c/pay/**")
    stripe = person.page.url.split("/c/pay/")[0]
    person.presses("Pay")
    person.sees("You are on Pro. Thank you.")
    subscription = person.site.call("GET", "/subscription/explain", token=person.token)["subscriptions"][0]["id"]

    def has(path, **form):
        headers = {"Authorization": "Bearer sk_test_of_the_page"}
        assert person.page.request.post(stripe + path, form=form, headers=headers).ok

    # As after a trial without a payment method.
    has(f"/sandbox/subscriptions/{subscription}", status="paused", fails="true")
    comes_back(person, "Your subscription is paused")
    person.looks("settings-paused")
    person.presses("Add a payment method")
    person.page.wait_for_url("**/p/session/**")
    person.presses("Add a card")
    person.opens("/#/settings/plan")
    person.presses("Resume Pro")
    person.sees("You are on Pro. Thank you.")

    has(f"/v1/subscriptions/{subscription}", **{"pause_collection[behavior]": "void", "pause_collection[resumes_at]": "2000000000"})
    comes_back(person, "Payments for your subscription are paused, and Pro with them.")
    person.sees("Payments resume on")
    expect(person.page.get_by_role("button", name="Upgrade to Pro")).to_have_count(0)


@needs("get-usage", "subscribe-pro", "subscription-portal", "cancel-subscription", "resume-subscription", "refresh-subscription", "list-invoices")
def test_one_upgrades_to_pro_at_checkout_manages_it_and_cancels(person):
    person.opens("/#/settings/plan")
    person.presses("Upgrade to Pro")
    person.page.wait_for_url("**/c/pay/**")
    person.presses("Pay")
    person.sees("You are on Pro. Thank you.")
    assert person.page.url == person.url + "/#/settings/plan"
    person.sees("Renews on")
    person.looks("settings-pro")
    person.presses("Cancel Pro")
    person.looks("cancel-pro")
    person.presses("Cancel Pro", within=person.page.get_by_role("dialog"))
    person.sees("Ends on")
    person.presses("Keep Pro")
    person.sees("Renews on")
    person.presses("Cards and invoices")
    person.page.wait_for_url("**/p/session/**")


def test_a_password_is_set_and_changed(person):
    person.expects(401)
    person.opens("/#/settings/security")
    person.fills("New password", "a long enough one")
    person.presses("Change it")
    person.sees("Changed. Your other devices are signed out.")
    person.fills("Current password", "not the right one")
    person.fills("New password", "an even longer one")
    person.presses("Change it")
    person.sees("The current password is wrong.")
    person.fills("Current password", "a long enough one")
    person.presses("Change it")
    expect(person.page.get_by_label("Current password")).to_have_value("")


def test_other_devices_are_seen_and_signed_out(stranger, sign_up):
    account = {"mobile": sign_up(password="a long enough one")["user"]["mobile"], "password": "a long enough one"}
    others = [stranger.site.call("POST", "/auth/login", account) for _ in range(2)]
    stranger.presses("Use a password")
    stranger.fills("Mobile number", account["mobile"])
    stranger.fills("Password", account["password"])
    stranger.presses("Sign in")
    stranger.field.wait_for()
    stranger.opens("/#/settings/security")
    rows = section(stranger, "Where you are signed in").locator("li")
    expect(rows).to_have_count(4)
    stranger.sees("Chrome on Linux (this one)", within=rows)
    stranger.sees("Signed in", within=section(stranger, "What happened"))
    stranger.looks("settings-security")
    rows.filter(has_not_text="this one").first.get_by_role("button").click()
    expect(rows).to_have_count(3)
    stranger.presses("Sign out everywhere else")
    expect(rows).to_have_count(1)
    for other in others:
        with pytest.raises(OSError):
            stranger.site.call("GET", "/user/me", token=other["token"])


def test_all_that_is_kept_is_downloaded(person):
    person.asks("Remember this")
    person.opens("/#/settings/data")
    person.looks("settings-data")
    with person.page.expect_download() as download:
        person.presses("Download")
    lines = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert lines[-1] == {"type": "end"}
    assert "Remember this" in [line.get("content") for line in lines]


def test_an_account_is_deleted_by_whoever_has_the_mobile(person):
    person.expects(401)
    token = person.token
    person.page.wait_for_timeout(person.site.resend)  # until another code may be sent
    person.opens("/#/settings/data")
    person.presses("Delete my account")
    person.fills("Code", "000000")
    person.presses("Delete everything")
    person.sees("The code is wrong, used or over.")
    person.presses("Send me a code")
    person.sees("the code is")
    person.looks("delete-account")
    person.fills("Code", person.code_in(person.page.get_by_role("dialog").get_by_role("status").inner_text()))
    person.presses("Delete everything")
    person.sees("Your account is deleted.")
    with pytest.raises(OSError):
        person.site.call("GET", "/user/me", token=token)
