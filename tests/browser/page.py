"""The page as a person has it: by what is seen and by names of controls, and not by what the code calls them."""

import json
import os
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from server import eventually

WEB = Path(__file__).resolve().parents[2] / "web"

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync
           --hide-scrollbars --disable-dev-shm-usage""".split()

AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Browser:
    def __init__(self, folder, language="en", width=1280, height=900, flags=()):
        self.folder, self.flags = Path(folder), flags
        self.downloads = self.folder / "downloads"
        self.language, self.width, self.height = language, width, height
        self.driver = None

    def __enter__(self):
        self.downloads.mkdir(parents=True, exist_ok=True)
        options = Options()
        for flag in [*FLAGS, *self.flags, f"--user-data-dir={self.folder}/profile", f"--window-size={self.width},{self.height}", f"--lang={self.language}"]:
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"intl.accept_languages": self.language, "download.default_directory": str(self.downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(self.downloads)})
        return self

    def __exit__(self, *_):
        self.driver.quit()


def missing(answer):
    """Previews that there aren't, and calls that are refused: what the browser says of them is no fault of the page."""
    return "Failed to load resource" in answer["message"]


class Page:
    def __init__(self, browser, url):
        self.browser, self.driver, self.url = browser, browser.driver, url
        self.refusals_expected = False

    def open(self, path="/"):
        self.driver.get(self.url + path)
        self.wait(lambda: self.all("main .zone button"))
        return self

    def forget(self):
        """A browser that was never here: no cookie, no database."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")  # what an earlier page was still loading when its test ended
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": self.url, "storageTypes": "all"})
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        for path in self.browser.downloads.iterdir():
            path.unlink()

    def close(self):
        loud = [line for line in self.driver.get_log("browser") if line["level"] == "SEVERE" and not (self.refusals_expected and missing(line))]
        assert not loud, loud

    # --- finding

    def wait(self, condition, complaint=None, timeout=60):
        def calm():
            try:
                return condition()
            except StaleElementReferenceException:
                return None
        return eventually(calm, lambda: complaint or f"it did not happen; the page says: {self.text()[:1500]}", timeout)

    def all(self, css, within=None):
        return (within or self.driver).find_elements(By.CSS_SELECTOR, css)

    def one(self, css, within=None):
        return self.wait(lambda: self.all(css, within), f"there is no {css}; the page says: {self.text()[:1500]}")[0]

    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def says(self, words, css="body"):
        self.wait(lambda: words in self.one(css).text, f"{words!r} is not said")

    def row(self, name):
        return self.one(f".row[data-name={json.dumps(name, ensure_ascii=False)}]")

    def rows(self):
        return {row.get_attribute("data-name"): row.get_attribute("data-phase") for row in self.all(".row")}

    def past(self, name):
        return self.one(f".past[data-name={json.dumps(name, ensure_ascii=False)}]")

    def reaches(self, name, *phases, timeout=180):
        return self.wait(lambda: (phase := self.rows().get(name)) in phases and phase, f"{name} is no {phases}: {self.rows()}\n{self.text()[:1500]}", timeout)

    def button(self, words, name=None, within=None):
        """Whose name begins so, as who speaks to the page or hears it knows it."""
        label = f"{words}: {name}" if name else words

        def found():
            return [b for b in self.all("button", within) if b.is_displayed() and (b.get_attribute("aria-label") or b.text).strip().startswith(label)]
        return self.wait(found, f"there is no button {label!r}")[0]

    # --- doing

    def press(self, words, name=None, within=None):
        def press():
            button = self.button(words, name, within)
            if not button.is_enabled():
                return False
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
            button.click()
            return True
        self.wait(press, f"{words} {name or ''} can't be pressed")

    def hover(self, words, name=None, within=None):
        button = self.button(words, name, within)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
        webdriver.ActionChains(self.driver).move_to_element(button).perform()

    def choose(self, *paths):
        """By the browser's dialog for files."""
        self.one("input[data-chooser=files]").send_keys("\n".join(str(path) for path in paths))

    def drop(self, files):
        """{name: text} from the desktop onto the page."""
        self.driver.execute_script("""
            const transfer = new DataTransfer();
            for (const [name, text] of Object.entries(arguments[0])) transfer.items.add(new File([text], name));
            for (const kind of ["dragenter", "dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));
        """, files)

    def target(self, name, target, for_all=False):
        self.press_picker(self.row(name))
        self.pick(target, for_all)

    def press_picker(self, within):
        self.wait(lambda: self.all(".picker", within))[0].click()

    def pick(self, target, for_all=False):
        dialog = self.one("dialog.pick[open]")
        if for_all:
            self.one("label.toggle input", dialog).click()
        self.one("input[role=combobox]", dialog).send_keys(target)
        self.wait(lambda: (selected := self.all("[role=option][aria-selected=true]", dialog)) and selected[0].get_attribute("data-target").startswith(target))
        for option in self.all("[role=option]", dialog):
            if option.get_attribute("data-target") == target:
                option.click()
                break
        self.wait(lambda: not self.all("dialog.pick[open]"))

    def convert(self, name, target):
        self.reaches(name, "ready", "uploading", "waiting")
        self.target(name, target)
        self.press("Convert", name)

    def download(self, name, within=None):
        """What arrives in the folder for downloads."""
        for path in self.browser.downloads.iterdir():
            path.unlink()  # the browser puts one of the same name in its place
        self.press("Download", name, within)
        return self.arrived(set())

    def arrived(self, before):
        def whole():
            new = [path for path in set(self.browser.downloads.iterdir()) - before if path.suffix != ".crdownload" and not path.name.startswith(".")]
            return new and new[0].stat().st_size > 0 and new[0]
        return self.wait(whole, "nothing was downloaded")

    def keys(self, *keys):
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def active(self):
        return self.driver.execute_script("return document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()")

    def focused(self):
        """Class or id of what has the focus, else its element's name."""
        return self.driver.execute_script("const a = document.activeElement; return a.className || a.id || a.tagName")

    def tab_to(self, words, backwards=False):
        for _ in range(80):
            if self.active().startswith(words):
                return
            webdriver.ActionChains(self.driver).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform() if backwards else \
                webdriver.ActionChains(self.driver).send_keys(Keys.TAB).perform()
        raise AssertionError(f"{words!r} is not reached by Tab")

    def kept(self):
        """What the browser's database holds, as text; and the entries of the history, by name."""
        text = self.driver.execute_async_script("""
            const done = arguments[0], request = indexedDB.open("decant");
            request.onsuccess = () => {
                const db = request.result, all = {};
                let left = db.objectStoreNames.length;
                for (const name of db.objectStoreNames) db.transaction(name).objectStore(name).getAll().onsuccess = e => {
                    all[name] = e.target.result;
                    if (--left === 0) done(JSON.stringify(all));
                };
            };
        """)
        return text, {entry["original_filename"]: entry for store in json.loads(text).values() for entry in store if "original_filename" in entry}

    # --- looking

    def appearance(self, width, dark=False, height=900):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def natural(self):
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def violations(self):
        """What axe-core finds, as lines to be read."""
        if not self.driver.execute_script("return 'axe' in window"):
            self.driver.execute_script((WEB / "node_modules/axe-core/axe.min.js").read_text())
        report = self.driver.execute_async_script("axe.run({runOnly: arguments[0]}).then(arguments[arguments.length - 1])", AXE_TAGS)
        assert len(report["passes"]) > 10, "axe has looked at next to nothing"
        return [f"{v['id']}: {node['html'][:200]} {node['failureSummary']}" for v in report["violations"] for node in v["nodes"]]

    def picture(self, name):
        """Into the folder that DECANT_SCREENSHOTS names, for people to look at."""
        folder = os.environ.get("DECANT_SCREENSHOTS")
        if folder:
            import base64
            size = self.driver.execute_script("return [innerWidth, Math.max(innerHeight, document.documentElement.scrollHeight)]")
            shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}})
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
