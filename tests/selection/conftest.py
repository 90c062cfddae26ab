import pytest
import survey_problems


@pytest.fixture(scope="module")
def schools():
    return survey_problems.schools()
