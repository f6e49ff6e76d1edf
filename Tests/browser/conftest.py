import pytest
from person import Person, devices, new_number
from playwright.sync_api import expect, sync_playwright
from serving import Site, Wire

expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def site():
    return Site()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # As root, Chromium runs only without its sandbox; the pages are our own.
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=list(devices))
def device(request):
    return request.param


@pytest.fixture
def people(browser, device, site):
    """Makes people, and asks at the end whether their pages had complaints."""
    made = []

    def make(url=None, session=None, **options):
        made.append(Person(browser, device, site, url=url, session=session, **options))
        return made[-1]

    yield make
    for person in made:
        person.end()


@pytest.fixture
def sign_up(site):
    """Signs somebody up by the API: the pair of tokens and the user."""

    def sign_up(**account):
        mobile = new_number()
        site.call("POST", "/auth/signup", {"mobile": mobile, **account})
        otp = site.call("POST", "/auth/send-otp", {"mobile": mobile})["otp"]
        return site.call("POST", "/auth/verify-otp", {"mobile": mobile, "otp": otp, **account})

    return sign_up


@pytest.fixture
def stranger(people):
    return people().opens()


@pytest.fixture
def person(people, sign_up):
    """Somebody who is signed in, in front of a chat that has not begun."""
    person = people(session=sign_up(username="Asha"))
    person.opens()
    person.field.wait_for()
    return person


@pytest.fixture
def wire(site):
    return Wire(site)


@pytest.fixture
def afar(people, sign_up, wire):
    """The same, at the end of a wire."""
    person = people(url=wire.url, session=sign_up(username="Asha"))
    person.opens()
    person.field.wait_for()
    return person
