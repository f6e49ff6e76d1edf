import json
import re

import pytest
import requests
from person import new_number
from playwright.sync_api import expect


def test_a_new_person_signs_up_by_a_code(stranger):
    stranger.looks("sign-in")
    stranger.presses("Create an account")
    stranger.fills("Mobile number", new_number())
    stranger.fills("Name (optional)", "Asha")
    stranger.fills("Password (optional)", "a long enough one")
    stranger.looks("sign-up")
    stranger.presses("Create it")
    stranger.sees("the code is")
    stranger.looks("code")
    stranger.presses("Fill it in")
    expect(stranger.field if stranger.device == "desktop" else stranger.page.locator("h1")).to_be_focused()
    stranger.looks("new-chat")
    me = json.loads(stranger.page.evaluate("localStorage.session"))["user"]
    assert me["username"] == "Asha"
    login = {"mobile": me["mobile"], "password": "a long enough one"}
    assert stranger.site.call("POST", "/auth/login", login)["user"]["id"] == me["id"]


@pytest.mark.parametrize("device", ["desktop"])
def test_a_code_that_is_pasted_with_a_space_signs_in(stranger):
    stranger.presses("Create an account")
    stranger.fills("Mobile number", new_number())
    stranger.presses("Create it")
    code = stranger.code_in(stranger.page.locator("output").inner_text())
    stranger.fills("Code", f"{code[:3]} {code[3:]}")
    stranger.field.wait_for()


def test_a_code_is_offered_to_the_keyboard_of_a_phone_and_sent_again_after_a_while(stranger, sign_up):
    user = sign_up()["user"]
    stranger.page.wait_for_timeout(stranger.site.resend)  # until another code may be sent
    stranger.fills("Mobile number", user["mobile"])
    # What the button says for some seconds only.
    stranger.page.evaluate("""() => {
        window.said = [];
        new MutationObserver(() => {
            const button = document.querySelector('#resend');
            if (button?.disabled) said.push(button.textContent);
        }).observe(document.body, { childList: true, subtree: true, characterData: true });
    }""")
    stranger.presses("Send me a code")
    field = stranger.page.get_by_label("Code", exact=True)
    expect(field).to_be_focused()
    assert field.get_attribute("autocomplete") == "one-time-code"
    assert field.get_attribute("inputmode") == "numeric"
    again = stranger.page.locator("#resend")
    first = stranger.code_in(stranger.page.locator("output").inner_text())
    expect(again).to_be_enabled()
    assert any(re.fullmatch(r"Another in \d s", text) for text in stranger.page.evaluate("said"))
    again.click()
    expect(stranger.page.locator("output")).not_to_have_text(first)


def test_a_wrong_code_says_how_many_tries_are_left(stranger):
    stranger.expects(401)
    number = new_number()
    stranger.presses("Create an account")
    stranger.fills("Mobile number", number)
    stranger.presses("Create it")
    right = stranger.code_in(stranger.page.locator("output").inner_text())
    stranger.fills("Code", f"{(int(right) + 1) % 1_000_000:06}")
    stranger.sees("The code is wrong, used or over. 4 tries left.")
    stranger.looks("wrong-code")


@pytest.mark.parametrize("device", ["desktop"])
def test_a_number_that_is_taken_is_said_to_be(stranger, sign_up):
    stranger.expects(409)
    stranger.presses("Create an account")
    stranger.fills("Mobile number", sign_up()["user"]["mobile"])
    stranger.presses("Create it")
    stranger.sees("This number has an account; sign in instead.")


def test_a_weak_password_is_explained_beside_its_field(stranger):
    stranger.expects(422)
    stranger.presses("Create an account")
    stranger.fills("Mobile number", new_number())
    stranger.fills("Password (optional)", "password1")
    stranger.presses("Create it")
    field = stranger.page.get_by_label("Password (optional)")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    stranger.looks("weak-password")


def test_a_password_lets_in_and_a_wrong_one_does_not(stranger, sign_up):
    stranger.expects(401)
    user = sign_up(password="a long enough one")["user"]
    stranger.presses("Use a password")
    stranger.fills("Mobile number", user["mobile"])
    stranger.fills("Password", "another long one")
    stranger.presses("Sign in")
    stranger.sees("The number or the password is wrong.")
    stranger.fills("Password", "a long enough one")
    stranger.presses("Sign in")
    stranger.field.wait_for()


def test_too_many_wrong_passwords_have_to_wait_and_are_told_for_how_long(stranger, sign_up):
    stranger.expects(401, 429)
    user = sign_up(password="a long enough one")["user"]
    stranger.presses("Use a password")
    stranger.fills("Mobile number", user["mobile"])
    problem = stranger.page.locator(".problem")
    for guess in range(6):
        stranger.fills("Password", f"another long one {guess}")
        with stranger.page.expect_response("**/auth/login"):
            stranger.presses("Sign in")
    expect(problem).to_contain_text(re.compile(r"You can go on in \d+ s\."))
    stranger.looks("too-many-passwords")


def test_a_forgotten_password_is_replaced(stranger, sign_up):
    user = sign_up(password="a long enough one")["user"]
    stranger.page.wait_for_timeout(stranger.site.resend)  # until another code may be sent
    stranger.presses("Use a password")
    stranger.fills("Mobile number", user["mobile"])
    stranger.presses("Forgot the password?")
    expect(stranger.page.get_by_label("Mobile number")).to_have_value(user["mobile"])
    stranger.presses("Send me a code")
    stranger.presses("Fill it in")
    stranger.fills("New password", "an even longer one")
    stranger.looks("reset-password")
    stranger.presses("Set it and sign in")
    stranger.field.wait_for()


@pytest.mark.parametrize("device", ["desktop"])
def test_a_reload_and_a_token_that_is_over_sign_nobody_out(person):
    person.page.evaluate("""() => {
        const session = JSON.parse(localStorage.session);
        localStorage.session = JSON.stringify({ ...session, until: 0 });
    }""")
    with person.page.expect_response("**/auth/refresh") as answer:
        person.page.reload()
    assert answer.value.ok
    person.field.wait_for()


@pytest.mark.parametrize("device", ["desktop"])
def test_two_tabs_that_renew_at_once_stay_signed_in(person):
    other = person.new_tab()
    other.goto(person.url)
    over = "() => { const s = JSON.parse(localStorage.session); localStorage.session = JSON.stringify({ ...s, until: 0 }); }"
    for _ in range(3):
        person.page.evaluate(over)
        for tab in (person.page, other):
            tab.evaluate("setTimeout(() => location.reload())")
        for tab in (person.page, other):
            tab.wait_for_timeout(300)
            tab.get_by_role("textbox", name="Message", exact=True).wait_for()
            tab.wait_for_load_state("networkidle")


@pytest.mark.parametrize("device", ["desktop"])
def test_whoever_is_signed_out_from_afar_is_told(person):
    person.expects(401)
    token = json.loads(person.page.evaluate("localStorage.session"))["token"]
    person.site.call("POST", "/auth/logout", token=token)
    person.sends("Are you there?")
    person.sees("This session has ended; sign in again.")
    assert person.page.evaluate("Object.keys(localStorage)") == []


@pytest.mark.parametrize("device", ["desktop"])
def test_signing_out_after_the_access_token_has_expired_ends_the_session(person):
    person.expects(401)
    refresh_token = json.loads(person.page.evaluate("localStorage.session"))["refresh_token"]
    person.opens("/#/settings/account")
    refreshed = []
    person.page.on("request", lambda request: refreshed.append(request) if "/auth/refresh" in request.url else None)
    person.page.get_by_role("button", name="Sign out").wait_for()
    person.page.evaluate("""() => {
        const session = JSON.parse(localStorage.session);
        localStorage.session = JSON.stringify({ ...session, token: 'expired', until: 0 });
        dispatchEvent(new StorageEvent('storage', { key: 'session' }));
    }""")
    person.presses("Sign out")
    person.page.get_by_role("heading", name="Sign in").wait_for()
    assert not refreshed
    answer = requests.post(person.url + "/auth/refresh", json={"refresh_token": refresh_token}, timeout=60)
    assert answer.json()["code"] == "session_ended"


@pytest.mark.parametrize("device", ["desktop"])
def test_signing_out_in_one_tab_is_felt_in_the_other(person):
    other = person.new_tab()
    other.goto(person.url)
    person.opens("/#/settings/account")
    person.presses("Sign out")
    other.get_by_role("heading", name="Sign in").wait_for()
