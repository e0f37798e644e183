'use strict';
// Shows one step at a time. The address names the step (#step-3), so every way of walking is a change of address.
(() => {
    const all = (selector, within = document) => [...within.querySelectorAll(selector)];
    const one = id => document.getElementById(id);
    const steps = all('.step');
    const links = all('.contents a');
    const back = one('back');
    const next = one('next');
    let current = 0;

    function show(n, walked) {
        current = n;
        steps.forEach((step, i) => step.classList.toggle('current', i === n));
        links.forEach((link, i) => i === n ? link.setAttribute('aria-current', 'step') : link.removeAttribute('aria-current'));
        back.setAttribute('aria-disabled', n === 0);
        next.setAttribute('aria-disabled', n === steps.length - 1);
        one('position').textContent = `${n + 1} of ${steps.length}`;
        one('readout').textContent = '';
        scrollable();
        if (!walked) {
            return;
        }
        const title = steps[n].querySelector('h2');
        one('said').textContent = `Step ${n + 1} of ${steps.length}: ${title.textContent}`;
        if (![back, next].includes(document.activeElement)) { // who presses a button may want to press it again
            title.focus({preventScroll: true});
        }
        const top = document.querySelector('main').getBoundingClientRect().top;
        if (!(top > 0) || top > innerHeight / 2) {
            scrollBy({top: top - 16, behavior: 'instant'});
        }
    }

    function fromAddress(walked) {
        const n = steps.findIndex(step => '#' + step.id === location.hash);
        show(n === -1 ? 0 : n, walked);
    }

    function walk(by) {
        const n = current + by;
        if (steps[n]) {
            location.hash = steps[n].id;
        }
    }

    // A box that scrolls is one that the keyboard can reach, and the arrow keys are its own there.
    const overflows = box => box.scrollWidth > box.clientWidth;
    function scrollable() {
        all('.scroll', steps[current]).forEach(box => {
            if (overflows(box)) {
                box.tabIndex = 0;
                box.setAttribute('role', 'region');
                box.setAttribute('aria-label', box.querySelector('caption').textContent);
            } else {
                ['tabindex', 'role', 'aria-label'].forEach(name => box.removeAttribute(name));
            }
        });
    }
    const scrolls = target => {
        const box = target.closest('.scroll');
        return box !== null ? overflows(box) : false;
    };

    addEventListener('hashchange', () => fromAddress(true));
    addEventListener('resize', scrollable);
    back.addEventListener('click', () => walk(-1));
    next.addEventListener('click', () => walk(1));
    addEventListener('keydown', event => {
        const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
        const held = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
        if (by === undefined || held || scrolls(event.target)) {
            return;
        }
        event.preventDefault();
        walk(by);
    });

    let from = null;
    addEventListener('touchstart', event => {
        const touch = event.touches[0];
        from = event.touches.length === 1 ? {x: touch.clientX, y: touch.clientY, target: event.target} : null;
    }, {passive: true});
    addEventListener('touchend', event => {
        if (from === null || scrolls(from.target)) {
            return;
        }
        const x = event.changedTouches[0].clientX - from.x;
        const y = event.changedTouches[0].clientY - from.y;
        if (Math.abs(x) > 60 + 2 * Math.abs(y)) {
            walk(x > 0 ? -1 : 1);
        }
    });

    // One of a tensor's matrices: the same one in every tensor that has the same, so that a head is followed through.
    const choices = all('.choice');
    const labels = choice => all('button', choice).map(button => button.textContent).join();
    choices.forEach(choice => all('button', choice).forEach((button, n) => button.addEventListener('click', () => {
        choices.filter(other => labels(other) === labels(choice)).forEach(other => {
            all('button', other).forEach((b, i) => b.setAttribute('aria-pressed', i === n));
            all('.matrix', other.parentElement).forEach((matrix, i) => {
                matrix.hidden = ![0, i + 1].includes(n); // button 0 is all of them
            });
        });
    })));

    // The full number: at once and for fingers too, which a title is not.
    all('td[title]').forEach(cell => {
        cell.dataset.full = cell.title;
        cell.removeAttribute('title');
    });
    const read = event => {
        const cell = event.target instanceof Element ? event.target.closest('td[data-full]') : null;
        all('td.read').forEach(other => other.classList.remove('read'));
        cell?.classList.add('read');
        one('readout').textContent = cell?.dataset.full ?? '';
    };
    addEventListener('pointerover', read);
    addEventListener('click', read);

    fromAddress(false);
})();
