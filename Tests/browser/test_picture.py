import pytest
from person import pictures
from picture import take


@pytest.mark.parametrize("device", ["desktop"])
def test_the_picture_of_the_readme_can_be_taken_again(site, browser, device):
    pictures.mkdir(parents=True, exist_ok=True)
    assert take(site, browser, pictures / "readme.png") < 150_000
