"""Uses the page in a headless Chromium.

usage: page_test.py SERVER_COMMAND...

The command is that of openai_client_test.py. Skipped (77) without Debian's chromium,
chromium-driver and python3-selenium.
"""

import os
import shutil
import sys
import unittest

from fake_server import KEY, FakeServer

try:
    from selenium import webdriver
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    print("skipped: this python has no selenium")
    sys.exit(77)

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not CHROMIUM or not DRIVER:
    print("skipped: no chromium or no chromedriver")
    sys.exit(77)

TOKEN_MS = "5"  # slow enough to stop an answer
COMMAND = sys.argv[1:]


def start_browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.add_argument("--headless=new")
    options.add_argument("--disable-dev-shm-usage")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium has none for root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service(DRIVER), options=options)


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = FakeServer(COMMAND, TOKEN_MS)
        cls.url = cls.server.url + "/"
        cls.browser = start_browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.server.end()

    def setUp(self):
        self.browser.get("about:blank")
        self.browser.get(self.url)
        self.browser.execute_script("sessionStorage.clear()")
        self.browser.refresh()

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def wait_for(self, selector, text):
        """The first element of `selector` that shows `text`."""
        def shown(browser):
            for one in browser.find_elements(By.CSS_SELECTOR, selector):
                if text in one.text:
                    return one
            return None
        return WebDriverWait(self.browser, 20, ignored_exceptions=[StaleElementReferenceException]).until(
            shown, f"no '{text}' in {selector}: {self.find('body').text}")

    def give_key(self):
        self.find("#key").send_keys(KEY + Keys.ENTER)
        self.wait_for("#chat-model option", "fake")

    def say(self, text):
        self.find("#prompt").send_keys(text + Keys.ENTER)

    def wait_for_answer(self, note):
        return self.wait_for('#thread[aria-busy="false"] .turn.assistant .note', note)

    def test_asks_for_the_key_and_keeps_it_for_the_tab(self):
        self.wait_for("#notice", "asks for an API key")
        self.find("#key").send_keys("wrong" + Keys.ENTER)
        self.wait_for("#notice", "does not know this API key")
        self.find("#key").clear()
        self.give_key()
        self.browser.refresh()
        self.wait_for("#chat-model option", "fake")
        self.assertEqual(self.browser.execute_script("return localStorage.length"), 0)

    def test_chats_and_tells_the_speed(self):
        self.give_key()
        self.say("say:Hello there!")
        self.wait_for_answer("12 tokens")
        self.wait_for_answer("tokens/s")
        self.assertEqual(self.find(".turn.assistant .text").text, "Hello there!")
        self.assertEqual(self.find("#prompt").get_attribute("value"), "")

    def test_shows_markup_in_an_answer_as_text(self):
        self.give_key()
        hostile = "<img src=x onerror=document.title='broken'><b>bold</b>"
        self.say("say:" + hostile)
        self.wait_for_answer("tokens/s")
        self.assertEqual(self.find(".turn.assistant .text").text, hostile)
        self.assertEqual(self.browser.find_elements(By.CSS_SELECTOR, "#thread img, #thread b"), [])
        self.assertEqual(self.browser.title, "yiti")

    def test_stops_an_answer_and_begins_anew(self):
        self.give_key()
        self.say("forever")
        self.wait_for(".turn.assistant .text", "aaa")
        self.find("#stop").click()
        self.wait_for(".turn.assistant .note", "stopped")
        self.find("#clear").click()
        self.wait_for("#thread", "Nothing said yet")
        self.say("say:More")
        self.wait_for(".turn.assistant .text", "More")

    def test_tells_what_failed(self):
        self.give_key()
        self.find("#temperature").send_keys("1")
        self.say("fail:Half")
        self.wait_for(".turn.assistant .error", "")
        self.assertNotEqual(self.find(".turn.assistant .error").text, "")
        self.assertEqual(self.find(".turn.assistant .text").text, "Half")

    def test_shows_the_servers_state(self):
        self.give_key()
        self.say("say:Counted")
        self.wait_for_answer("tokens/s")
        self.find('nav a[href="#server"]').click()
        self.wait_for(".tile", "Throughput")
        memory = self.wait_for(".tile", "KV cache in memory").text
        self.assertIn("2.0 MB\nin use, 3.0 MB kept, of 10.0 MB", memory)
        self.assertRegex(self.wait_for(".tile", "Memory").text,
                         r"^Memory\n\d+\.\d MB\nof the process; all tensors ")
        disk = self.wait_for(".tile", "KV cache on disk").text
        self.assertIn("2.5 GB\n1,234 blocks; since the start 5 read, 6 written", disk)
        self.wait_for("tbody th", "fake")

    def test_breaks_no_policy(self):
        self.give_key()
        self.browser.get_log("browser")
        for view in ("chat", "jobs", "server"):
            self.find(f'nav a[href="#{view}"]').click()
            self.wait_for(f'nav a[href="#{view}"][aria-current]', "")
        for line in self.browser.get_log("browser"):
            self.assertNotIn("Content Security Policy", line["message"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
